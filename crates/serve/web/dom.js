// Elements, texts and the two places where the pages speak. Text is always inserted as text, never as HTML.

/** An element with attributes, listeners (`onclick: f`) and children: nodes, texts, arrays of them, or nothing. */
export function h(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  return add(element, children);
}

function add(element, children) {
  const there = children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
  element.append(...there);
  return element;
}

/** Replaces what an element holds. Whatever had the focus and has an `id` has it again afterwards. */
export function fill(element, ...children) {
  const focused = element.contains(document.activeElement) ? document.activeElement.id : "";
  element.replaceChildren();
  add(element, children);
  if (focused) document.getElementById(focused)?.focus();
  return element;
}

/** Tells those who do not see the page what has changed. */
export function say(text) {
  document.getElementById("said").textContent = text;
}

/** A place for what went wrong: `show(error)` and `clear()`. */
export function faultPlace() {
  const element = h("p", { class: "fault", role: "alert", hidden: true });
  const show = (error) => {
    // What is said already is not said again.
    if (!element.hidden && element.textContent === error.message) return;
    element.textContent = error.message;
    element.hidden = false;
  };
  const clear = () => {
    element.hidden = true;
  };
  return { element, show, clear };
}

/** A button that cannot be pressed again before its work is done, and that tells what went wrong. */
export function button(label, work, fault, attributes = {}) {
  const press = async () => {
    element.disabled = true;
    fault.clear();
    try {
      await work();
    } catch (error) {
      fault.show(error);
    } finally {
      element.disabled = false;
    }
  };
  const element = h("button", { type: "button", ...attributes, onclick: press }, label);
  return element;
}

/** A form field below its label. */
export function field(label, input, hint) {
  return h("label", {}, h("span", {}, label), input, hint && h("small", {}, hint));
}

/** A table that scrolls where it is wider than the page. */
export function table(head, rows, attributes = {}) {
  const cells = head.map((name) => h("th", { scope: "col" }, name || h("span", { class: "visually-hidden" }, "Actions")));
  return h("div", { class: "scroll" }, h("table", attributes, h("thead", {}, h("tr", {}, cells)), h("tbody", {}, rows)));
}

/** What stands where there is nothing yet. */
export function empty(...words) {
  return h("p", { class: "empty" }, words);
}
