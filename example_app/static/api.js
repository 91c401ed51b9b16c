// Ask the API the way a page's own script does, and show what it says.
const button = document.querySelector("#ask-api");
const answer = document.querySelector("#api-answer");

button.addEventListener("click", async () => {
  const response = await fetch(button.dataset.url);
  const body = await response.json();
  answer.textContent = `${response.status} ${response.statusText}\n${JSON.stringify(body, null, 2)}`;
  answer.hidden = false;
});
button.disabled = false; // before that a click would do nothing
