#!/usr/bin/env bash
# suites.sh [-o DIR] [-f FAMILIES] [-x "iscsi-test-cu args"] [-c CMD] URL [URL2]
# Runs libiscsi's conformance suite (Debian: libiscsi-bin) suite by suite, each in a process of its own (a failed suite's reservation must not spoil
# the next). URL = iscsi://[user%secret@]host:port/iqn/lun; a second URL enables the MultipathIO family. Destroys the LUN's data. CMD runs before
# each suite. Writes DIR/results.tsv (test, PASS|FAIL|SKIP|CRASH|TIMEOUT, detail) and a table per suite. The suite's own summary counts a skip as a
# pass: this does not. (What a suite prints after its last test has passed belongs to its clean-up, not to that test.) LIM: seconds per suite (120).
set -u; O=./conformance FAM='SCSI iSCSI' X='' C=: LIM=${LIM:-120}
while getopts o:f:x:c: o; do case $o in o) O=$OPTARG;; f) FAM=$OPTARG;; x) X=$OPTARG;; c) C=$OPTARG;; *) exit 2;; esac; done; shift $((OPTIND-1))
BIN=${ISCSI_TEST_CU:-iscsi-test-cu}; mkdir -p "$O"; rm -f "$O"/*.log; : >"$O/results.tsv"
for f in $FAM; do
  for s in $($BIN -l | awk -F. -v f="$f" 'NF == 2 && $1 == f'); do
    # shellcheck disable=SC2086
    $C; timeout -k 2 "$LIM" $BIN -d -v $X -t "$s" "$@" >"$O/$s.log" 2>&1 </dev/null; rc=$?
    awk -v s="$s" -v rc=$rc '
      function out() {
        if (t != "") { r = fl ? "FAIL" : done ? (sk ? "SKIP" : "PASS") : (rc == 124 || rc == 137 ? "TIMEOUT" : "CRASH")
          print s "." t "\t" r "\t" (r == "PASS" ? "" : substr(d, 1, 180)); n++ } }
      /^  Test: / { out(); t = $2; fl = sk = done = 0; d = "" }
      /^Run Summary/ { out(); t = ""; end = 1 }
      /\[SKIPPED\]/ && !done && !/passed.*\[SKIPPED\]/ { sk = 1; if (d == "") { d = $0; sub(/.*\[SKIPPED\] */, "", d) } }
      /(\.\.\.|^)passed/ { done = 1 }
      /FAILED *$/ { fl = 1; done = 1 }
      /\[FAILED\]/ && d == "" { d = $0; sub(/.*\[FAILED\] */, "", d) }
      /^ +[0-9]+\. .*\.c:[0-9]+/ { x = $0; sub(/^ +[0-9]+\. /, "", x); d = d (d == "" ? "" : " | ") x }
      END { if (!end) out(); if (n == 0) print s ".(none)\tCRASH\trc=" rc }' "$O/$s.log" >>"$O/results.tsv"
  done
done
awk -F'\t' '{ split($1, a, "."); k = a[1] "." a[2]; if (!(k in n)) o[++m] = k; n[k]++; c[k, $2]++; T[$2]++ }
  END { printf "%-34s %5s %5s %5s %5s\n", "suite", "pass", "fail", "skip", "other"
    for (i = 1; i <= m; i++) { k = o[i]; printf "%-34s %5d %5d %5d %5d\n", k, c[k, "PASS"], c[k, "FAIL"], c[k, "SKIP"], c[k, "CRASH"] + c[k, "TIMEOUT"] }
    printf "%-34s %5d %5d %5d %5d\n", "all", T["PASS"], T["FAIL"], T["SKIP"], T["CRASH"] + T["TIMEOUT"] }' "$O/results.tsv"
