"use strict";
// textual.js measures its cells as it begins, so it begins when the letters are there. Keys are for
// the terminal from the moment it is connected.
{
  const begin = window.onload;
  const faces = ["15px", "bold 15px", "italic 15px"].map((face) => `${face} "Roboto Mono"`);
  const focus = () => document.querySelector(".xterm-helper-textarea")?.focus();
  window.onload = async (event) => {
    document.querySelector("#again").onclick = () => window.location.reload();
    await Promise.allSettled(faces.map((face) => document.fonts.load(face)));
    begin(event);
    const seen = new MutationObserver(() => {
      if (document.body.classList.contains("-loaded")) {
        seen.disconnect();
        focus();
      }
    });
    seen.observe(document.body, { attributeFilter: ["class"] });
  };
}
