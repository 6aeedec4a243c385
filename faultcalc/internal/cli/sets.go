package cli

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/cutset-dev/cutset/faultcalc"
)

// names turns a set into what is printed.
func (a *app) names(s faultcalc.Set) []string { return a.model.Names(s) }

// first passes on a list up to the limit, and says why it ends before its end.
func (a *app) first(what string, list func(most int) iter.Seq2[faultcalc.Set, error]) iter.Seq[faultcalc.Set] {
	return func(yield func(faultcalc.Set) bool) {
		most, n := 0, 0
		if a.limit > 0 {
			most = a.limit + 1 // one more, to know whether something is left out
		}
		for s, err := range list(most) {
			if err != nil {
				a.cut("%s: %v", what, err)
				return
			}
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

func (a *app) keeperSets() iter.Seq[faultcalc.Set] {
	return a.first("minimal keeper sets", a.model.FirstKeeperSets)
}

func (a *app) survivableSets() iter.Seq[faultcalc.Set] {
	return a.first("maximal survivable sets", a.model.FirstSurvivableSets)
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
