// The console works without this. It chooses all of a list at once, carries a "reveal" link's value to its form, and
// sends a filter as soon as it is changed.
"use strict";

document.addEventListener("change", (event) => {
  const box = event.target;
  if (box.matches("input[data-all]")) {
    for (const each of box.form.querySelectorAll(`input[name="${box.dataset.all}"]`)) each.checked = box.checked;
  }
  if (box.matches("form.filter select")) box.form.requestSubmit();
});

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-place]");
  if (!link) return;
  const choice = document.querySelector("select[data-places]");
  if (!choice) return;
  choice.value = link.dataset.place;
  event.preventDefault();
  choice.form.scrollIntoView({ block: "center" });
  choice.form.querySelector("textarea").focus();
});
