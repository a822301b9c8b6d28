// Sets the theme before the first paint: the system's, or the one chosen on this page.
{
  const chosen = localStorage.getItem("trialrun-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
}
