// Light or dark, before anything is painted: a file of its own, as the content security policy allows no script in a page.
;(() => {
  const dark = matchMedia('(prefers-color-scheme: dark)')
  const chosen = () => {
    try {
      return localStorage.getItem('plimsoll.theme') ?? localStorage.getItem('plimsoll.adopted')
    } catch {
      return null
    }
  }
  const paint = () => {
    const theme = chosen()
    const is_dark = theme === 'dark' || (theme !== 'light' && dark.matches)
    document.documentElement.dataset.theme = is_dark ? 'dark' : 'light'
  }
  paint()
  dark.addEventListener('change', paint)
  addEventListener('storage', paint)
  addEventListener('plimsoll:theme', paint)
})()
