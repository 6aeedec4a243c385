package report

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/cutset-dev/cutset/framework/verdict"
)

// comparison is this run beside an earlier one.
type comparison struct {
	Earlier      string // its run id
	OtherShape   bool   // the topologies differ, so that cases of one name may mean different things
	Coverage     []string
	Rows         []compared
	Regressions  int
	Improvements int
	Same         int
	Only         int // cases that one of the runs did not do
}

// compared is one case in both runs, or all repeats of one.
type compared struct {
	ID            string
	Case          string // id of a case of this run, "" if it has none
	Change        change
	Before, After string // outcome and outage
}

// change says what became of a case, the worst first.
type change int

const (
	regressed change = iota
	longerOutage
	improved
	shorterOutage
	onlyNow
	onlyBefore
	same
)

func (c change) String() string {
	return [...]string{"regression", "longer outage", "improvement", "shorter outage", "only now", "only then", "same"}[c]
}

// Bad tells whether somebody should look at it.
func (c change) Bad() bool { return c == regressed || c == longerOutage }

// An outage is longer than before, and not merely different, when it grew by this much and by this share.
const (
	longerBy      = time.Second
	longerByShare = 0.25
)

// compare puts every case of both runs into one of the classes of change, regressions first.
func compare(now, earlier *Report) *comparison {
	c := &comparison{Earlier: earlier.Run, OtherShape: now.Fingerprint != earlier.Fingerprint}
	for _, after := range now.Coverage {
		for _, before := range earlier.Coverage {
			if before.Level == after.Level {
				c.Coverage = append(c.Coverage, fmt.Sprintf("%s: %.1f %% of fault sets decided, %.1f %% then", after.Level, 100*after.DecidedShare, 100*before.DecidedShare))
			}
		}
	}
	before, after := results(earlier, now), results(now, earlier)
	for _, r := range after {
		row := compared{ID: r.id, Case: r.first, Change: onlyNow, After: r.String()}
		if i := slices.IndexFunc(before, func(old result) bool { return old.id == r.id }); i >= 0 {
			row.Change, row.Before = changed(before[i], r), before[i].String()
			before = slices.Delete(before, i, i+1)
		}
		c.add(row)
	}
	for _, old := range before {
		c.add(compared{ID: old.id, Change: onlyBefore, Before: old.String()})
	}
	slices.SortStableFunc(c.Rows, func(a, b compared) int { return cmp.Compare(a.Change, b.Change) })
	return c
}

func (c *comparison) add(row compared) {
	c.Rows = append(c.Rows, row)
	switch row.Change {
	case regressed, longerOutage:
		c.Regressions++
	case improved, shorterOutage:
		c.Improvements++
	case onlyNow, onlyBefore:
		c.Only++
	case same:
		c.Same++
	}
}

// result is what is compared: a case, or all repeats of one.
type result struct {
	id      string
	first   string // id of a case that it is about
	runs    int
	outcome verdict.Outcome // the worst
	outage  time.Duration   // the median
	some    bool            // it has an outage
}

// results are a report's, as they compare with the other report: case by case; all repeats of a case as one where the other report has
// fewer of them, or more.
func results(r, other *Report) (all []result) {
	ids := func(r *Report, of string) (list []string) {
		for _, c := range r.Cases {
			if cmp.Or(c.Of, c.ID) == of {
				list = append(list, c.ID)
			}
		}
		return slices.Sorted(slices.Values(list))
	}
	outages := map[string][]time.Duration{}
	for _, c := range r.Cases {
		id := c.ID
		if others := ids(other, cmp.Or(c.Of, c.ID)); len(others) > 0 && !slices.Equal(others, ids(r, cmp.Or(c.Of, c.ID))) {
			id = cmp.Or(c.Of, c.ID)
		}
		i := slices.IndexFunc(all, func(r result) bool { return r.id == id })
		if i < 0 {
			i = len(all)
			all = append(all, result{id: id, first: c.ID, outcome: c.Verdict.Outcome})
		}
		all[i].runs++
		if rank[c.Verdict.Outcome] > rank[all[i].outcome] {
			all[i].outcome = c.Verdict.Outcome
		}
		if longest, _, some := worstOutage(c); some {
			outages[id] = append(outages[id], longest)
		}
	}
	for i := range all {
		if list := outages[all[i].id]; len(list) > 0 {
			all[i].outage, all[i].some = median(list), true
		}
	}
	return all
}

// rank orders outcomes, the best first.
var rank = map[verdict.Outcome]int{verdict.Pass: 0, verdict.Slower: 1, verdict.Indeterminate: 2, verdict.Fail: 3}

// changed compares a result with the one of the earlier run.
func changed(before, after result) change {
	switch d := cmp.Compare(rank[after.outcome], rank[before.outcome]); {
	case d > 0:
		return regressed
	case d < 0:
		return improved
	}
	longer := func(a, b time.Duration) bool {
		return before.some && after.some && a-b > longerBy && float64(a-b) > longerByShare*float64(b)
	}
	switch {
	case longer(after.outage, before.outage):
		return longerOutage
	case longer(before.outage, after.outage):
		return shorterOutage
	}
	return same
}

func (r result) String() string {
	outage := "-"
	if r.some {
		outage = seconds(r.outage)
	}
	if r.runs > 1 {
		return fmt.Sprintf("%s at worst of %d runs, %s in the median", r.outcome, r.runs, outage)
	}
	return fmt.Sprintf("%s, %s", r.outcome, outage)
}
