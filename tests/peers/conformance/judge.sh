# shellcheck shell=bash
# judge RESULTS LIST: what the suite's results are worth. LIST has by exact name what is not served, with the reason: such a test counts as skipped while it fails or skips, and as a failure once it
# passes and is still there. A skip that is not in it is a failure too (of dev). To be sourced after lib.sh.
judge() {
  local test result detail reason list=${2#"$ROOT"/}
  while IFS=$'\t' read -r test result detail; do
    reason=$(awk -v t="$test" '$1 == t {$1 = ""; sub(/^ +/, ""); print; exit}' "$2")
    case $result:${reason:+expected} in
      PASS:) pass "$test";;
      PASS:expected) if [ "$TARGET" = dev ]; then fail "$test" "passes now: take it off $list"; else pass "$test"; fi;;
      *:expected) skip "$test" "$result as expected: $reason";;
      SKIP:) if [ "$TARGET" = dev ]; then fail "$test" "skipped ($detail), and $list does not say why"; else skip "$test" "$detail"; fi;;
      *) fail "$test" "$result $detail";;
    esac
  done <"$1"
}
