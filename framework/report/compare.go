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

// compared is one case in both runs.
type compared struct {
	ID            string
	Change        change
	Before, After string // outcome and outage
	Done          bool   // in this run
}

// change says what became of a case, the worst first.
type change int

const (
	regressed change = iota
	slower
	improved
	faster
	onlyNow
	onlyBefore
	same
)

func (c change) String() string {
	return [...]string{"regression", "longer outage", "improvement", "shorter outage", "only now", "only then", "same"}[c]
}

// Bad tells whether somebody should look at it.
func (c change) Bad() bool { return c == regressed || c == slower }

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
	before := map[string]Case{}
	for _, old := range earlier.Cases {
		before[old.ID] = old
	}
	for _, after := range now.Cases {
		row := compared{ID: after.ID, Change: onlyNow, After: describe(after), Done: true}
		if old, ok := before[after.ID]; ok {
			row.Change, row.Before = changed(old, after), describe(old)
			delete(before, after.ID)
		}
		c.add(row)
	}
	for _, old := range earlier.Cases {
		if _, left := before[old.ID]; left {
			c.add(compared{ID: old.ID, Change: onlyBefore, Before: describe(old)})
		}
	}
	slices.SortStableFunc(c.Rows, func(a, b compared) int { return cmp.Compare(a.Change, b.Change) })
	return c
}

func (c *comparison) add(row compared) {
	c.Rows = append(c.Rows, row)
	switch row.Change {
	case regressed, slower:
		c.Regressions++
	case improved, faster:
		c.Improvements++
	case onlyNow, onlyBefore:
		c.Only++
	case same:
		c.Same++
	}
}

// changed compares a case with itself in the earlier run.
func changed(before, after Case) change {
	rank := map[verdict.Outcome]int{verdict.Pass: 0, verdict.Indeterminate: 1, verdict.Fail: 2}
	switch d := cmp.Compare(rank[after.Verdict.Outcome], rank[before.Verdict.Outcome]); {
	case d > 0:
		return regressed
	case d < 0:
		return improved
	}
	old, oldOK := worstOutage(before)
	now, nowOK := worstOutage(after)
	longer := func(a, b time.Duration) bool {
		return oldOK && nowOK && a-b > longerBy && float64(a-b) > longerByShare*float64(b)
	}
	switch {
	case longer(now, old):
		return slower
	case longer(old, now):
		return faster
	}
	return same
}

func describe(c Case) string {
	return fmt.Sprintf("%s, %s", c.Verdict.Outcome, outage(c))
}
