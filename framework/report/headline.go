package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/faultcalc"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/verdict"
)

// headline is the run in a few numbers.
type headline struct {
	Sentence        string
	Outcome         verdict.Outcome // the worst
	Worst, Median   string          // outage of a case's shards that had to serve
	WorstCase       string          // its id
	Lost            int             // acknowledged writes
	LosingCases     int
	Alerts          []tierCount
	Total           int
	CoveredByLevels []plan.Coverage
}

type tierCount struct {
	Tier  string
	Count int
}

// head reckons the headline.
func (r *Report) head() headline {
	h := headline{Total: len(r.Cases), CoveredByLevels: r.Coverage, Worst: "–", Median: "–", Outcome: verdict.Pass}
	var outages []time.Duration
	var longest time.Duration
	for _, c := range r.Cases {
		if lost := c.Lost(); lost > 0 {
			h.Lost, h.LosingCases = h.Lost+lost, h.LosingCases+1
		}
		if d, _, some := worstOutage(c); some && c.Kind != plan.Control {
			if outages = append(outages, d); d > longest {
				longest, h.WorstCase = d, c.ID
			}
		}
	}
	if len(outages) > 0 {
		h.Worst, h.Median = seconds(slices.Max(outages)), seconds(median(outages))
	}
	for tier := executor.TierCritical; tier >= executor.TierLow; tier-- {
		if n := r.AlertsByTier[tier.String()]; n > 0 {
			h.Alerts = append(h.Alerts, tierCount{tier.String(), n})
		}
	}
	switch {
	case r.SetUpError != "":
		h.Outcome, h.Sentence = verdict.Fail, "The run was not set up"
	case r.Counts.Fail > 0:
		h.Outcome, h.Sentence = verdict.Fail, fmt.Sprintf("%d of %s went against the prediction", r.Counts.Fail, count(h.Total, "case"))
	case r.Counts.Indeterminate > 0:
		h.Outcome, h.Sentence = verdict.Indeterminate, fmt.Sprintf("%d of %s decided nothing", r.Counts.Indeterminate, count(h.Total, "case"))
	case h.Total == 0:
		h.Outcome, h.Sentence = verdict.Indeterminate, "No case was done"
	case r.Counts.Slower > 0:
		h.Outcome, h.Sentence = verdict.Slower, fmt.Sprintf("All %s went as predicted, %d slower than allowed", count(h.Total, "case"), r.Counts.Slower)
	default:
		h.Sentence = fmt.Sprintf("All %s went as predicted", count(h.Total, "case"))
	}
	return h
}

// outageRow is the distribution of outages for one kind of fault: of shards that had to serve, apart by whether the fault set
// took their primary.
type outageRow struct {
	Kind          string
	Primary       bool
	Shards        int
	Least, Median string
	Longest       string
}

// outagePoint is one shard that had to serve, in one case.
type outagePoint struct {
	Case    string  `json:"case"`
	Kind    string  `json:"kind"`
	Shard   int     `json:"shard"`
	Primary bool    `json:"primary"`
	Seconds float64 `json:"seconds"`
	took    time.Duration
}

// outages returns every shard's outage where it had to serve and something failed.
func (r *Report) outages(topology faultcalc.Topology) (points []outagePoint, rows []outageRow) {
	type key struct {
		kind    string
		primary bool
	}
	byKey := map[key][]time.Duration{}
	var order []key
	for _, c := range r.Cases {
		if c.Kind == plan.Control {
			continue
		}
		for _, s := range c.Verdict.Shards {
			if s.Predicted != "available" {
				continue
			}
			p := outagePoint{Case: c.ID, Kind: c.Kind, Shard: s.Number, Primary: slices.Contains(c.Nodes, nodeOf(topology, c.Level, s.PrimaryBefore)), took: s.Outage}
			p.Seconds = float64(s.Outage.Milliseconds()) / 1000
			points = append(points, p)
			k := key{p.Kind, p.Primary}
			if byKey[k] == nil {
				order = append(order, k)
			}
			byKey[k] = append(byKey[k], p.took)
		}
	}
	slices.SortFunc(order, func(a, b key) int {
		return cmp.Or(cmp.Compare(a.kind, b.kind), -cmp.Compare(fmt.Sprint(a.primary), fmt.Sprint(b.primary)))
	})
	for _, k := range order {
		list := byKey[k]
		rows = append(rows, outageRow{
			Kind: k.kind, Primary: k.primary, Shards: len(list),
			Least: seconds(slices.Min(list)), Median: seconds(median(list)), Longest: seconds(slices.Max(list)),
		})
	}
	return points, rows
}

// leftOutGroup is what was left out for one reason.
type leftOutGroup struct {
	Reason string
	IDs    []string
}

// leftOutByReason keeps the order of the plan.
func (r *Report) leftOutByReason() []leftOutGroup {
	var groups []leftOutGroup
	for _, l := range r.LeftOut {
		i := slices.IndexFunc(groups, func(g leftOutGroup) bool { return g.Reason == l.Reason })
		if i < 0 {
			i = len(groups)
			groups = append(groups, leftOutGroup{Reason: l.Reason})
		}
		groups[i].IDs = append(groups[i].IDs, l.ID)
	}
	return groups
}

// median of a list that is not empty; of two in the middle, the lower.
func median(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return sorted[(len(sorted)-1)/2]
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }

// count writes a number with its noun.
func count(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// shardList writes shard numbers as words.
func shardList(numbers []int) string {
	if len(numbers) == 0 {
		return "no shard"
	}
	words := make([]string, len(numbers))
	for i, n := range numbers {
		words[i] = fmt.Sprint(n)
	}
	noun := "shard "
	if len(words) > 1 {
		noun = "shards "
	}
	return noun + strings.Join(words, ", ")
}
