// The theme before the first paint: the system's, or the one that was chosen here.
{
  const chosen = localStorage.getItem("trialrun-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
