/**
 * Make an element. Text goes in as text, never as markup.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, unknown>} [attributes] names that start with `on` are listeners; true sets, false, null and undefined leave out
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  set(element, attributes);
  element.append(...filled(children));
  return element;
}

/**
 * Make an element of a drawing.
 *
 * @param {string} tag
 * @param {Record<string, unknown>} [attributes]
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {SVGElement}
 */
export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  set(element, attributes);
  element.append(...filled(children));
  return element;
}

/**
 * Set attributes, as `make` does.
 *
 * @param {Element} element
 * @param {Record<string, unknown>} attributes
 */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), /** @type {EventListener} */ (value));
    else if (value === false || value === null || value === undefined) element.removeAttribute(name);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

/**
 * Replace what is in an element.
 *
 * @param {Element} element
 * @param {...(Node | string | null | undefined | false)} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...filled(children));
}

/**
 * Replace what is in an element as `fill` does, but leave what is there already and looks the same, with the focus in it. What
 * children do must therefore follow from how they look.
 *
 * @param {Element} element
 * @param {...(Node | string | null | undefined | false)} children
 */
export function renew(element, ...children) {
  let at = element.firstChild;
  for (const child of filled(children)) {
    const wanted = typeof child === "string" ? document.createTextNode(child) : child;
    let same = at;
    while (same && !same.isEqualNode(wanted)) same = same.nextSibling;
    if (same) {
      removed(at, same);
      at = same.nextSibling;
    } else if (at && isGroup(at) && at.cloneNode().isEqualNode(wanted.cloneNode())) {
      renew(at, ...wanted.childNodes);
      at = at.nextSibling;
    } else element.insertBefore(wanted, at);
  }
  removed(at, null);
}

/** Whether all that an element does is to hold others. @param {Node} node @returns {node is Element} */
function isGroup(node) {
  return ["DIV", "DL", "LI", "UL"].includes(node.nodeName);
}

/** Remove nodes beside each other. @param {ChildNode | null} first @param {ChildNode | null} end the one after the last */
function removed(first, end) {
  for (let at = first; at && at !== end; ) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
}

/**
 * Do what may hide or remove what is in an element. If that had the focus, another one gets it: keys go on from there.
 *
 * @param {Element} element
 * @param {() => void} action
 * @param {HTMLElement} next
 */
export function keepFocus(element, action, next) {
  const isInside = element.contains(document.activeElement);
  action();
  if (isInside && focused() === null) next.focus({ preventScroll: true });
}

/** Return the element that has the focus; null if none has, or one that is hidden now. */
export function focused() {
  const now = document.activeElement;
  return now !== null && now !== document.body && now.getClientRects().length > 0 ? now : null;
}

/**
 * Return a function that calls another one once in the next frame, however often it was called.
 *
 * @param {() => void} action
 */
export function oncePerFrame(action) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      action();
    });
  };
}

/** @param {(Node | string | null | undefined | false)[]} children */
function filled(children) {
  return /** @type {(Node | string)[]} */ (children.filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
}
