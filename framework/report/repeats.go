package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cutset-dev/cutset/framework/verdict"
)

// Repeats are all runs of one case that was done several times.
type Repeats struct {
	Case     string `json:"case"` // its id; those of the runs have @1, @2 and so on after it
	Runs     int    `json:"runs"`
	Outcomes Counts `json:"outcomes"`
	// Of each run that is not indeterminate, the longest outage of a shard that had to serve; nil where none had to.
	Outage           *Distribution `json:"outage,omitempty"`
	OutageNormalized *Distribution `json:"outageNormalized,omitempty"`
	Failover         *Phases       `json:"failover,omitempty"` // nil where no shard is known to have failed over
}

// Distribution is how durations are spread. Each is one that there was, in nanoseconds.
type Distribution struct {
	Least   time.Duration `json:"least"`
	Median  time.Duration `json:"median"`
	P90     time.Duration `json:"p90"` // nine in ten were no longer
	Longest time.Duration `json:"longest"`
}

// Phases are the medians of a failover's phases, in nanoseconds; see [verdict.Failover].
type Phases struct {
	Failovers       int           `json:"failovers"` // of all shards and runs
	Detect          time.Duration `json:"detect"`
	Promote         time.Duration `json:"promote"`
	Serve           time.Duration `json:"serve"`
	Total           time.Duration `json:"total"`
	TotalNormalized time.Duration `json:"totalNormalized"`
	Redundancy      time.Duration `json:"redundancy"` // of those that reached it
}

// repeats groups the runs of each case that was done several times, in the order of the plan.
func repeats(cases []Case) (all []Repeats) {
	raw, normalized, failovers := map[string][]time.Duration{}, map[string][]time.Duration{}, map[string][]verdict.Failover{}
	for _, c := range cases {
		if c.Of == "" {
			continue
		}
		i := slices.IndexFunc(all, func(r Repeats) bool { return r.Case == c.Of })
		if i < 0 {
			i = len(all)
			all = append(all, Repeats{Case: c.Of})
		}
		all[i].Runs++
		all[i].Outcomes.add(c.Verdict.Outcome)
		if c.Verdict.Outcome == verdict.Indeterminate {
			continue
		}
		if longest, weighted, some := worstOutage(c); some {
			raw[c.Of], normalized[c.Of] = append(raw[c.Of], longest), append(normalized[c.Of], weighted)
		}
		for _, s := range c.Verdict.Shards {
			if s.Failover != nil {
				failovers[c.Of] = append(failovers[c.Of], *s.Failover)
			}
		}
	}
	for i := range all {
		r := &all[i]
		r.Outage, r.OutageNormalized, r.Failover = spread(raw[r.Case]), spread(normalized[r.Case]), phases(failovers[r.Case])
	}
	return all
}

// spread is nil for no durations.
func spread(list []time.Duration) *Distribution {
	if len(list) == 0 {
		return nil
	}
	sorted := slices.Sorted(slices.Values(list))
	return &Distribution{Least: sorted[0], Median: median(sorted), P90: sorted[(9*len(sorted)+9)/10-1], Longest: sorted[len(sorted)-1]}
}

func phases(list []verdict.Failover) *Phases {
	if len(list) == 0 {
		return nil
	}
	var detect, promote, serve, total, normalized, redundancy []time.Duration
	for _, f := range list {
		detect, promote, serve = append(detect, f.Detect), append(promote, f.Promote), append(serve, f.Serve)
		total, normalized = append(total, f.Total), append(normalized, f.TotalNormalized)
		if f.Redundancy > 0 {
			redundancy = append(redundancy, f.Redundancy)
		}
	}
	p := &Phases{
		Failovers: len(list), Detect: median(detect), Promote: median(promote), Serve: median(serve),
		Total: median(total), TotalNormalized: median(normalized),
	}
	if len(redundancy) > 0 {
		p.Redundancy = median(redundancy)
	}
	return p
}

// Words are the outcomes that there were, as 18 pass and 2 slower.
func (c Counts) Words() (words []string) {
	for _, outcome := range []struct {
		n    int
		name verdict.Outcome
	}{{c.Pass, verdict.Pass}, {c.Slower, verdict.Slower}, {c.Fail, verdict.Fail}, {c.Indeterminate, verdict.Indeterminate}} {
		if outcome.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", outcome.n, outcome.name))
		}
	}
	return words
}

func (d Distribution) String() string {
	return fmt.Sprintf("%s least, %s median, %s p90, %s longest", seconds(d.Least), seconds(d.Median), seconds(d.P90), seconds(d.Longest))
}

// String is the line of the summary.
func (r Repeats) String() string {
	text := fmt.Sprintf("%s: %s: %s", r.Case, count(r.Runs, "run"), strings.Join(r.Outcomes.Words(), ", "))
	if r.Outage != nil {
		text += fmt.Sprintf("; outage %s (load-normalized: %s)", r.Outage, r.OutageNormalized)
	}
	if f := r.Failover; f != nil {
		text += fmt.Sprintf("; failover in the median: detect %s, promote %s, serve %s, redundant again %s",
			seconds(f.Detect), seconds(f.Promote), seconds(f.Serve), seconds(f.Redundancy))
	}
	return text
}
