#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Writes DIR/<domain>.txt for `headgate_specialise --data DIR`: six domains of text from Debian packages, cut to one size, and
# DIR/handbook/<language>.txt, the part of the prose that is the handbook's, for data/cut_sample.sh.
# Needs Debian 12 with fresh lists of packages (apt-get update, the only thing that wants root), apt-get and dpkg-deb. The
# same package versions give the same bytes. Which package under which licence: data/README.md.
set -euo pipefail
export LC_ALL=C

[ $# -eq 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # apt's own user downloads
cd "$work"

unpack() { # PACKAGE...: each into a folder of its name; a release may have several versions, apt takes its candidate
  for package in "$@"; do
    apt-get -q download "$package" > log 2>&1 || {
      cat log >&2
      echo "get_text.sh: $package cannot be fetched; its name is of Debian 12, and 'apt-get update' has to have been run" >&2
      exit 1
    }
    dpkg-deb -x "${package}"_*.deb "$package"
    dpkg-deb -W --showformat='${Package} ${Version}\n' "${package}"_*.deb
  done
}

sorted_files() { # FOLDER NAME-PATTERN
  find "$1" -name "$2" ! -name '*_test.go' ! -path '*/testdata/*' -type f | sort
}

# Paragraphs of a web page, one a line.
html_text() {
  sed -e 's/.*<body[^>]*>//' -e 's:</*\(div\|p\|li\|dt\|dd\|h[1-6]\|pre\|td\|tr\)\( [^>]*\)*>:\n\n:g' -e 's/<[^>]*>//g' "$@" |
    sed -e 's/&lt;/</g' -e 's/&gt;/>/g' -e 's/&quot;/"/g' -e 's/&nbsp;/ /g' -e 's/&amp;/\&/g' | joined
}

# Paragraphs between empty lines, one a line, without tables.
joined() {
  sed -e 's/\xc2\xa0\|\xe2\x80\xaf/ /g' | awk 'function flush() { if (text != "") print text; text = "" }
       /^[ \t\r]*$/ { flush(); next }
       /[|]|--+[+]|----|____|====|[*][*][*][*]/ { next }
       { gsub(/[ \t\r]+/, " "); sub(/^ /, ""); sub(/ $/, ""); text = text == "" ? $0 : text " " $0 }
       END { flush() }'
}

# What is prose of the language: enough of its commonest words, more than of English's; each paragraph once.
prose() { # WORDS-OF-THE-LANGUAGE WORDS-OF-ENGLISH
  awk -v own="$1" -v english="$2" '
    BEGIN { n = split(own, a, " "); for (i = 1; i <= n; ++i) is_own[a[i]]
            n = split(english, a, " "); for (i = 1; i <= n; ++i) is_english[a[i]] }
    { o = e = 0
      for (i = 1; i <= NF; ++i) { word = tolower($i); o += word in is_own; e += word in is_english }
      if (NF >= 8 && o * 10 >= NF && o > e && !($0 in seen)) { seen[$0]; print } }' | fold -s -w 100 | sed 's/ *$//'
}

handbook() { # FOLDER
  find "debian-handbook/usr/share/doc/debian-handbook/html/$1" -name '*.html' ! -name index.html | sort | while read -r page; do
    html_text "$page"
  done
}

# PACKAGE-SUFFIX LANGUAGE HANDBOOK-FOLDER
manuals() {
  handbook "$3"
  zcat "debian-reference-$2/usr/share/debian-reference/debian-reference.$2.txt.gz" | joined
  find "developers-reference$1" -name developers-reference.txt.gz -exec zcat {} + | joined
  zcat "debian-faq$1/usr/share/doc/debian/FAQ/debian-faq.$2.txt.gz" | joined
}

echo "packages:"
unpack debian-handbook debian-reference-de debian-reference-en debian-reference-fr \
  developers-reference developers-reference-de developers-reference-fr debian-faq debian-faq-de debian-faq-fr \
  golang-1.19-src unicode-data unicode-cldr-core

english='the of and to in is that for it be are with this you on can which as by'
german='der die das und ist nicht ein eine einen zu in den von mit auf sie für es wird werden im dem des kann'
french='le la les des un une et de est que dans pour qui sur vous pas en du ce il au par'
manuals "" en en-US | prose "$english" "" > english
manuals -de de de-DE | prose "$german" "$english" > german
manuals -fr fr fr-FR | prose "$french" "$english" > french

# By itself, since the rest is under another licence: that with which the prose begins.
mkdir -p "$out/handbook"
handbook en-US | prose "$english" "" > "$out/handbook/english.txt"
handbook de-DE | prose "$german" "$english" > "$out/handbook/german.txt"
handbook fr-FR | prose "$french" "$english" > "$out/handbook/french.txt"

# Code: without the licence lines that head each file.
source=golang-1.19-src/usr/share/go-1.19/src
for part in archive bufio bytes container encoding go net/http strconv strings text; do
  sorted_files $source/$part '*.go'
done | while read -r file; do
  awk '/^package / { code = 1 } code' "$file"
done > go

# Markup: world data and names of symbols, without the notice that heads each file.
cldr=unicode-cldr-core/usr/share/unicode/cldr/common
for file in $cldr/annotations/en.xml $cldr/supplemental/*.xml $cldr/annotations/fi.xml $cldr/annotations/hu.xml; do
  awk '/<!--/ { comment = 1 } !comment; /-->/ { comment = 0 }' "$file"
done > xml

# A table: the characters of Unicode, their names, other names and relatives; the file's own head is prose.
awk '/^@@\t/ { rows = 1 } rows' unicode-data/usr/share/unicode/NamesList.txt > table

# Packages of another release hold other files: a domain of which little is left would cut all others to its size.
for domain in english french german go table xml; do
  bytes=$(wc -c < $domain)
  [ "$bytes" -ge 1000000 ] || {
    echo "get_text.sh: the domain $domain has $bytes bytes, at least 1000000 are needed; are the packages those of Debian 12?" >&2
    exit 1
  }
done

# One size, whole blocks of 4096 bytes, at most 2 MB.
size=$(for domain in english french german go table xml; do wc -c < $domain; done | sort -n | sed -n 1p)
[ "$size" -le 2097152 ] || size=2097152
size=$((size / 4096 * 4096))
for domain in english french german go table xml; do
  head -c $size $domain > "$out/$domain.txt"
  printf '%-8s %d bytes of %d, gzip %s bits a byte\n' $domain $size "$(wc -c < $domain)" \
    "$(gzip -9c < "$out/$domain.txt" | wc -c | awk -v n=$size '{ printf "%.2f", 8 * $1 / n }')"
done
