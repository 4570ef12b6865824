"use strict";
// The words of "How to read this", shown on whatever the pointer rests on that uses them.
aero.glossary = (entries) => entries.flatMap(([heads, said]) => {
  const short = [...said.matchAll(/\(([A-Z]{2,})\)/g)].map((match) => match[1]);
  return [...heads.split(", "), ...short].map((word) => {
    // Terms of the notation are told apart by their capitals; words may begin a sentence.
    const term = word === word.toUpperCase() || word.startsWith("_");
    const pattern = word.replace(/\d+$/, "").replace(/[^\w ]/g, "\\$&");
    const before = word.startsWith("_") ? "" : "(?<![A-Za-z])";
    return { said, uses: new RegExp(`${before}${pattern}s?(?![A-Za-z])`, term ? "" : "i") };
  });
});

aero.explained = (words, text) => [...new Set(words.filter(({ uses }) => uses.test(text)).map(({ said }) => said))].join("\n");

aero.explainOnHover = () => {
  const entries = [...document.querySelectorAll("#how li")].map((item) => [[...item.querySelectorAll("b")].map((b) => b.textContent).join(", "), item.textContent]);
  const words = aero.glossary(entries);
  document.addEventListener("pointerover", ({ target }) => {
    const element = target.closest("th, td, h2, h3, label, legend, #key li");
    if (element && !element.title && element.textContent.length < 120) element.title = aero.explained(words, element.textContent);
  });
};
