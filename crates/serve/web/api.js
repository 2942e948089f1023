// Requests to the server that these pages came from, with a key where it asks for one.

const BASE = "/v1";
const KEY = "finetone.key";

/** An answer that is an error; the message is the server's. */
class RequestError extends Error {}

export function hasKey() {
  return sessionStorage.getItem(KEY) !== null;
}

/** Asks for JSON. */
export function get(path) {
  return json(path, {});
}

export function post(path, body) {
  if (body === undefined) return json(path, { method: "POST" });
  const headers = { "content-type": "application/json" };
  return json(path, { method: "POST", headers, body: JSON.stringify(body) });
}

export function remove(path) {
  return json(path, { method: "DELETE" });
}

/** Sends a file that shall be trained on or measured with. */
export function upload(file) {
  const form = new FormData();
  form.append("purpose", "fine-tune");
  form.append("file", file);
  return json("/files", { method: "POST", body: form });
}

/** All items of a list, the newest first. */
export async function all(path) {
  const items = [];
  for (let after = ""; ; after = `&after=${encodeURIComponent(items.at(-1).id)}`) {
    const page = await get(`${path}${path.includes("?") ? "&" : "?"}limit=100${after}`);
    items.push(...page.data);
    if (!page.has_more) return items;
  }
}

/** Gives a file to the browser to keep. A link could not carry the key. */
export async function save(path, name) {
  const response = await send(path, {});
  const address = URL.createObjectURL(await response.blob());
  const link = document.createElement("a");
  link.href = address;
  link.download = name;
  link.click();
  // By then the browser has taken hold of the content.
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

async function json(path, options) {
  return (await send(BASE + path, options)).json();
}

async function send(path, options) {
  for (;;) {
    const key = sessionStorage.getItem(KEY);
    const headers = { ...options.headers, ...(key && { authorization: `Bearer ${key}` }) };
    const response = await reach(path, { ...options, headers });
    if (response.ok) return response;
    const message = await complaint(response);
    if (response.status !== 401) throw new RequestError(message);
    // Another request may have got a key in the meantime.
    if (sessionStorage.getItem(KEY) === key) await askForKey(key && message);
  }
}

async function reach(path, options) {
  try {
    return await fetch(path, options);
  } catch {
    throw new RequestError("The server does not answer. Is it still running?");
  }
}

async function complaint(response) {
  try {
    return (await response.json()).error.message;
  } catch {
    return `The server answered ${response.status} ${response.statusText}`;
  }
}

let asking = null;

/** Asks whoever sits there, once for all requests that wait; `wrong` is what the server said to the last key. */
function askForKey(wrong) {
  asking ??= new Promise((done) => {
    const dialog = document.getElementById("key");
    const [fault, input] = [dialog.querySelector(".fault"), dialog.querySelector("input")];
    fault.textContent = wrong ?? "";
    fault.hidden = !wrong;
    input.value = "";
    dialog.addEventListener("close", () => {
      // Without a key the next answer is the same question.
      if (input.value) sessionStorage.setItem(KEY, input.value.trim());
      input.value = "";
      asking = null;
      done();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}
