#!/usr/bin/env bash
# Writes the page of all error codes, from what the program says of them:
#   bash docs/make-errors.sh PROGRAM > docs/errors.md
set -euo pipefail
export LC_ALL=C.UTF-8
program=${1:?usage: make-errors.sh PROGRAM}

cat <<'PAGE'
<!-- Made by docs/make-errors.sh from the program's own words: do not edit. -->

# Errors: what each code means, and what to do

Every error has a code. `konsil explain CODE` says on your screen what stands here, `konsil explain` lists all codes, and with `--json` programs can read them.

A command ends with a number that scripts can look at:

| number | what |
|---|---|
| 0 | done |
| 1 | failed |
| 2 | wrong use |
| 5 | refused, by a steward, a policy or consent |
| 6 | withheld by disclosure control |
| 7 | a budget is exhausted |
| 8 | a party is away: run again |
| 9 | integrity: something was changed, rolled back or swapped |
| 10 | data failed their check |
PAGE

heading() {
    case $1 in
        K01) echo "Files of patients, dictionaries and genotypes" ;;
        K02) echo "Formulas and models" ;;
        K03) echo "Conditions of cohorts, and a centre's data" ;;
        K04) echo "Links and the secure computation" ;;
        K05) echo "Disclosure control" ;;
        K060 | K061 | K062) echo "Approvals, policies and permits" ;;
        K063) echo "The audit log" ;;
        K064) echo "Budgets" ;;
        K065) echo "Consent" ;;
        K066) echo "The network and its members" ;;
        K07) echo "Files, folders, study files" ;;
        K08) echo "Commands and results" ;;
        K09) echo "Pages" ;;
        *) echo "Others" ;;
    esac
}

# One line a code: code, meaning and remedy with tabs between.
codes() {
    "$program" explain --json |
        sed -e 's/},{/}\n{/g' |
        sed -nE 's/.*"code":"(K[0-9]+)","meaning":"(([^"\\]|\\.)*)","remedy":"(([^"\\]|\\.)*)".*/\1\t\2\t\4/p' |
        sed -e 's/\\"/"/g' -e 's/&/\&amp;/g' -e 's/</\&lt;/g' -e 's/\*/\\*/g' |
        sort
}

last=
codes | while IFS=$'\t' read -r code meaning remedy; do
    group=${code:0:3}
    if [ "$group" = K06 ]; then group=${code:0:4}; fi
    title=$(heading "$group")
    if [ "$title" != "$last" ]; then
        printf '\n## %s\n' "$title"
        last=$title
    fi
    printf '\n### %s\n\n%s\n\n*What to do:* %s\n' "$code" "$meaning" "$remedy"
done
