# Sourced: sees to Chromium and Node.js, installs a folder's packages, or says that something is skipped.
#   browser WHAT FOLDER
browser() {
  if ! command -v chromium >/dev/null 2>&1 && [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
    { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1 || true
  fi
  for need in chromium npm; do
    if ! command -v "$need" >/dev/null 2>&1; then
      echo "$1: skipped, since there is no $need"
      exit 0
    fi
  done
  if ! (cd "$2" && npm install --no-audit --no-fund --silent); then
    echo "$1: skipped, since its packages for Node.js cannot be installed"
    exit 0
  fi
}
