package cli

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/cutset-dev/cutset/faultcalc"
)

// maxWords bounds the sets that are held in memory to be sorted (32 MiB).
const maxWords = 1 << 22

// shortlist keeps the sets that come first by size, then lexicographically, as
// many as the limit; all of them if the limit is 0.
type shortlist struct {
	limit, seen int
	kept        []faultcalc.Set
	full        bool
	last        faultcalc.Set // when full: what comes after it is not kept
}

func (l *shortlist) add(s faultcalc.Set) {
	l.seen++
	if l.full && s.Compare(l.last) > 0 {
		return
	}
	l.kept = append(l.kept, s.Clone())
	if l.limit > 0 && len(l.kept) == 2*l.limit+64 {
		l.sort()
		l.full, l.last = true, l.kept[l.limit-1]
	}
}

func (l *shortlist) sort() {
	slices.SortFunc(l.kept, faultcalc.Set.Compare)
	if l.limit > 0 && len(l.kept) > l.limit {
		l.kept = l.kept[:l.limit]
	}
}

// sets are what is kept, in order; the app says so if that is not all.
func (l *shortlist) sets(a *app, what string) []faultcalc.Set {
	l.sort()
	if len(l.kept) < l.seen {
		a.cut("%s: %d of %d are listed; raise --limit", what, len(l.kept), l.seen)
	}
	return l.kept
}

// names turns a set into what is printed.
func (a *app) names(s faultcalc.Set) []string { return a.model.Names(s) }

// collect walks through a list that may have any number of sets. One with more
// than can be sorted in memory is cut off before it is sorted.
func (a *app) collect(what string, sets iter.Seq[faultcalc.Set], into ...func(faultcalc.Set)) {
	most := max(maxWords/(4+len(a.model.Nodes())/64), a.limit)
	n := 0
	for s := range sets {
		if n++; n > most {
			a.cut("%s: more than %d; these are the first ones found, not the smallest", what, most)
			return
		}
		for _, add := range into {
			add(s)
		}
	}
}

// sorted is the beginning of such a list by size, then lexicographically.
func (a *app) sorted(what string, sets iter.Seq[faultcalc.Set]) []faultcalc.Set {
	l := &shortlist{limit: a.limit}
	a.collect(what, sets, l.add)
	return l.sets(a, what)
}

// limited passes on an ordered list up to the limit.
func (a *app) limited(what string, sets iter.Seq[faultcalc.Set]) iter.Seq[faultcalc.Set] {
	return func(yield func(faultcalc.Set) bool) {
		n := 0
		for s := range sets {
			if n++; a.limit > 0 && n > a.limit {
				a.cut("%s: only the first %d are listed; raise --limit", what, a.limit)
				return
			}
			if !yield(s) {
				return
			}
		}
	}
}

// cut notes that a list is not complete: never silently.
func (a *app) cut(format string, args ...any) {
	a.truncated = true
	a.warn(format, args...)
}

func (a *app) warn(format string, args ...any) {
	message := fmt.Sprintf(format, args...)
	if slices.Contains(a.warnings, message) {
		return
	}
	a.warnings = append(a.warnings, message)
	printLine(a.stderr, "faultcalc: warning:", message)
}

// listOf streams sets as lists of names.
func (a *app) listOf(sets iter.Seq[faultcalc.Set]) stream {
	return func(yield func(any) bool) {
		for s := range sets {
			if !yield(a.names(s)) {
				return
			}
		}
	}
}

// braces is how tables and CSV show a set.
func braces(names []string) string { return "{" + strings.Join(names, ", ") + "}" }

// merge yields the sets of two sorted lists in order, each once.
func merge(x []faultcalc.Set, y iter.Seq[faultcalc.Set]) iter.Seq[faultcalc.Set] {
	return func(yield func(faultcalc.Set) bool) {
		for s := range y {
			for len(x) > 0 && x[0].Compare(s) <= 0 {
				if !x[0].Equal(s) && !yield(x[0]) {
					return
				}
				x = x[1:]
			}
			if !yield(s) {
				return
			}
		}
		for _, s := range x {
			if !yield(s) {
				return
			}
		}
	}
}
