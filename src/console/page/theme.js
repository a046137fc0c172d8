// Before anything is drawn: dark or light, if somebody has chosen.
try {
  const theme = localStorage.getItem('stanzagate-theme')
  if (theme === 'dark' || theme === 'light') document.documentElement.dataset.theme = theme
} catch {
  // A browser that keeps nothing follows its system.
}
