// Elements without a framework. No style attributes: the page's Content-Security-Policy forbids them.

export const byId = (id) => document.getElementById(id);

// make("button", {class: "plain", click: f, "aria-label": "..."}, child, ...): functions become listeners
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value !== null && value !== false) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

// One child per item, kept while its key is there, so that focus and open menus survive a redraw.
export function keyed(parent, items, key, create, update) {
  const old = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let node = old.get(name);
    if (!node) {
      node = create(item);
      node.dataset.key = name;
    }
    old.delete(name);
    if (node === place) place = place.nextElementSibling;
    else parent.insertBefore(node, place);
    update?.(node, item);
  }
  for (const node of old.values()) node.remove();
}

// Sets src only when it differs: setting it again would load it again.
export function show(image, address, alt) {
  if (image.getAttribute("src") !== address) image.setAttribute("src", address);
  if (alt !== undefined) image.alt = alt;
  image.hidden = false;
}

export function message(words, { error = false, action = null } = {}) {
  const close = () => box.remove();
  const box = make("div", { class: error ? "message error" : "message" }, make("p", {}, words));
  if (action) box.append(make("button", { type: "button", class: "plain", click: () => { close(); action.run(); } }, action.label));
  box.append(make("button", { type: "button", class: "plain", "aria-label": action?.close ?? "×", click: close }, "×"));
  const shown = byId("messages");
  shown.append(box);
  while (shown.children.length > 3) shown.firstElementChild.remove();
  if (!error) setTimeout(close, 12000);
  return box;
}
