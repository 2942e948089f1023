// What changes without being asked.

/**
 * Does `work` now and every so many milliseconds, until the page is left or `work` says that nothing more will change by
 * returning true. What goes wrong is shown, and tried again.
 */
export async function poll(signal, milliseconds, fault, work) {
  while (!signal.aborted) {
    try {
      // Nobody looks at a hidden page.
      if (!document.hidden && (await work())) return;
      fault.clear();
    } catch (error) {
      if (!signal.aborted) fault.show(error);
    }
    await new Promise((wake) => setTimeout(wake, milliseconds));
  }
}

/**
 * Calls `draw` only where what it is given, or what `mark` makes of it, differs from the last time, so that nothing flickers
 * and nobody loses a selection.
 */
export function onChange(draw, mark = (...values) => values) {
  let last;
  return (...values) => {
    const text = JSON.stringify(mark(...values));
    if (text !== last) draw(...values);
    last = text;
  };
}
