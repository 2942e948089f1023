// Numbers, times and states as people read them.

/** Seconds since 1970. */
export function time(seconds) {
  return new Date(seconds * 1000).toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const [hours, minutes, rest] = parts;
  if (hours > 0) return `${hours} h ${minutes} min`;
  return minutes > 0 ? `${minutes} min ${rest} s` : `${rest} s`;
}

export function bytes(count) {
  const units = ["B", "KB", "MB", "GB"];
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(count, 1)) / 3));
  const value = count / 1000 ** power;
  return `${power > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[power]}`;
}

/** Three digits that mean something: 0.0123, 12.3, 12300, 1.2e-5. */
export function number(value) {
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(1).replace("e+", "e");
  if (size >= 100) return String(Math.round(value));
  return String(Number(value.toPrecision(3)));
}

export function percent(share) {
  return `${(share * 100).toFixed(share > 0 && share < 0.001 ? 2 : 1)} %`;
}

const STATES = {
  validating_files: "reading files",
  queued: "waiting for its turn",
};

/** The state of a job. */
export function state(status) {
  return STATES[status] ?? status;
}

/** Whether nothing will happen to a job any more. */
export function isOver(status) {
  return ["succeeded", "failed", "cancelled"].includes(status);
}

/** What a model is, from how it is listed. */
export function kind(model) {
  if (model.owned_by.startsWith("alias of ")) return "alias";
  if (!model.id.startsWith("ft:")) return "base";
  return model.id.includes(":ckpt-step-") ? "checkpoint" : "fine-tuned";
}

/** The name of the base of a fine-tuned model. */
export function baseOf(id) {
  return id.startsWith("ft:") ? id.split(":")[1] : id;
}
