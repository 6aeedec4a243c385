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

// names turns a set into what is printed.
func (a *app) names(s faultcalc.Set) []string { return a.model.Names(s) }

// sorted collects a list that may be long, sorts it by size and then
// lexicographically, and keeps the first limit sets. A list that is too long
// to be collected is cut off before it is sorted.
func (a *app) sorted(what string, sets iter.Seq[faultcalc.Set]) []faultcalc.Set {
	most := max(maxWords/(4+len(a.model.Nodes())/64), a.limit)
	var list []faultcalc.Set
	for s := range sets {
		if len(list) == most {
			a.cut("%s: more than %d; these are the first ones found, not the smallest", what, most)
			break
		}
		list = append(list, s.Clone())
	}
	slices.SortFunc(list, faultcalc.Set.Compare)
	if a.limit > 0 && len(list) > a.limit {
		a.cut("%s: %d of %d are listed; raise --limit", what, a.limit, len(list))
		list = list[:a.limit]
	}
	return list
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
