// Elements from values. Text is always a text node: nothing that came over the wire is ever parsed as HTML.

const SVG = "http://www.w3.org/2000/svg";

/** Return an element: h("a.big", {href: "/x", onclick: f, dataset: {id: 1}}, "text", child, [more]). */
export function h(kind, properties = {}, ...children) {
  const [tag, ...classes] = kind.split(".");
  const element = document.createElement(tag || "div");
  if (classes.length) element.className = classes.join(" ");
  set(element, properties);
  append(element, children);
  return element;
}

/** Return an SVG element. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  append(element, children);
  return element;
}

/** Replace everything in an element. */
export function fill(element, ...children) {
  element.replaceChildren();
  append(element, children);
  return element;
}

function append(element, children) {
  for (const child of children.flat(Infinity)) {
    if (child === null || child === undefined || child === false) continue;
    element.append(child instanceof Node ? child : String(child));
  }
}

function set(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "dataset") Object.assign(element.dataset, value);
    else if (name === "style") for (const [key, each] of Object.entries(value)) element.style.setProperty(key, each);
    else if (name === "value" || name === "checked") element[name] = value;
    else if (name === "href") element.setAttribute("href", safeHref(value));
    else element.setAttribute(name, value === true ? "" : value);
  }
}

/** Return the link, or "#" when it would run something instead of opening it. */
export function safeHref(href) {
  return /^(https?:|mailto:|\/|#|\?)/i.test(String(href).trim()) ? String(href) : "#";
}

/** Say something to people who listen to the page instead of looking at it. */
export function announce(message) {
  document.getElementById("announcer").textContent = message;
}

/** Return a function that runs at most once a frame, with the arguments of the last call. */
export function perFrame(action) {
  let waiting = 0;
  let latest = [];
  return (...given) => {
    latest = given;
    waiting ||= requestAnimationFrame(() => {
      waiting = 0;
      action(...latest);
    });
  };
}

const GATHER_MILLISECONDS = 70;
let gathering = null;

/** Return a promise that several callers share: what they draw then is laid out and painted once for all of them. */
export function together() {
  gathering ??= new Promise((resolve) => {
    setTimeout(() => {
      gathering = null;
      resolve();
    }, GATHER_MILLISECONDS);
  });
  return gathering;
}
