"use strict";
// Small helpers around the document. Text goes in as text alone, so that no name can become markup.
aero.get = (id) => document.getElementById(id);

aero.make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== false && value !== null) node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
};

aero.fill = (id, ...children) => aero.get(id).replaceChildren(...children);

aero.options = (id, pairs, chosen) => {
  aero.fill(id, ...pairs.map(([value, text]) => aero.make("option", { value, selected: value === chosen }, text)));
};

aero.command = (text) => {
  const button = aero.make("button", { type: "button" }, "copy");
  const code = aero.make("code", { title: document.getElementById("bare").textContent }, text);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "copied";
    } catch {
      // A page opened from a file may not write to the clipboard everywhere: the text is marked instead.
      getSelection().selectAllChildren(code);
      button.textContent = "marked";
    }
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
  return aero.make("div", { class: "command" }, code, button);
};

// A link to a candidate: shows it below.
aero.candidateLink = (candidate) => aero.make(
  "a", { href: "#detail", class: "link", onclick: () => aero.change({ selected: candidate.trial }) },
  `${aero.compact(candidate.notation)} #${candidate.trial}`,
);
