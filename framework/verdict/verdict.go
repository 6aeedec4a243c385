// Package verdict judges a case from the history alone: the same records give the same verdict,
// during the run and ever after.
//
// Each judge is a pure function of a case's [Evidence] and answers with findings. A case passes when no
// judge finds anything, is indeterminate when what was found says nothing about the product, and fails
// otherwise.
package verdict

import (
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/cutset-dev/cutset/framework/history"
)

// Outcome is what a verdict comes to.
type Outcome string

// The outcomes. Slower: everything was as predicted, but slower than the stated limit allows; it fails no run, and decides its fault
// set as a pass does. Indeterminate is not green: the case has to be run again.
const (
	Pass          Outcome = "pass"
	Slower        Outcome = "slower"
	Fail          Outcome = "fail"
	Indeterminate Outcome = "indeterminate"
)

// Fails tells whether a run fails that has such a verdict.
func (o Outcome) Fails() bool { return o == Fail || o == Indeterminate }

// Blame says whose fault a finding is.
type Blame string

// Product: the database under test. Harness: this program. Infrastructure: what both stand on.
const (
	Product        Blame = "product"
	Harness        Blame = "harness"
	Infrastructure Blame = "infrastructure"
)

// Finding is something that a judge holds against a case.
type Finding struct {
	Judge string `json:"judge"`
	// Outcome is Slower, Fail or Indeterminate.
	Outcome Outcome `json:"outcome"`
	Blame   Blame   `json:"blame"`
	Shard   int     `json:"shard,omitempty"`
	Message string  `json:"message"`
	IDs     []int64 `json:"ids,omitempty"` // of the rows that it is about, at most 100
	// Count is how many rows, or writes, those are, and Writes what is known of the first 20 of them.
	Count  int     `json:"count,omitempty"`
	Writes []Write `json:"writes,omitempty"`
	// Instances that it is about, and the time since the start of the run, in nanoseconds.
	Instances []string      `json:"instances,omitempty"`
	From      time.Duration `json:"from,omitempty"`
	To        time.Duration `json:"to,omitempty"`
	Picture   string        `json:"picture,omitempty"` // a file in the run's directory that shows it
	Excused   bool          `json:"excused,omitempty"` // it would be a failure, had the harness not had a part in it
}

// Verdict is what became of one case.
type Verdict struct {
	Case     string        `json:"case"`
	Outcome  Outcome       `json:"outcome"`
	Findings []Finding     `json:"findings"`
	Shards   []Shard       `json:"shards"`
	Notes    []string      `json:"notes,omitempty"` // evidence that is held against nobody
	Began    time.Duration `json:"began"`           // since the start of the run, in nanoseconds
	Took     time.Duration `json:"took"`
	// Shrunk is the smallest part of the fault set that still fails, where that was looked for.
	Shrunk *history.Shrunk `json:"shrunk,omitempty"`
}

// Shard is what clients saw of one shard in a case. Durations are in nanoseconds.
type Shard struct {
	Number    int    `json:"number"`
	Predicted string `json:"predicted"` // available or unavailable
	Acked     int    `json:"ackedWrites"`
	Reads     int    `json:"servedReads"`
	// Outage is the longest interval without a served write or read while the fault was active, and
	// Recovery the time from the heal to the first of both; raw, and in load-normalized time.
	Outage             time.Duration `json:"outage"`
	OutageNormalized   time.Duration `json:"outageNormalized"`
	Recovery           time.Duration `json:"recovery"`
	RecoveryNormalized time.Duration `json:"recoveryNormalized"`
	PrimaryBefore      string        `json:"primaryBefore,omitempty"`
	PrimaryAfter       string        `json:"primaryAfter,omitempty"`
	// Intervals without a served write, and without a served read.
	WriteOutages *Outages `json:"writeOutages,omitempty"`
	ReadOutages  *Outages `json:"readOutages,omitempty"`
	// Failover is nil where no other instance took over, or nobody's log says when.
	Failover *Failover `json:"failover,omitempty"`
	// Latency is nil where too few writes were served to tell.
	Latency *Latency `json:"latency,omitempty"`
}

// Failover is how a shard came back while its fault was active, in phases: each lasts from the end of the one before. Durations are in
// nanoseconds, and raw; Total is their sum, and TotalNormalized the same in load-normalized time.
type Failover struct {
	From    string        `json:"from"`    // the primary before
	To      string        `json:"to"`      // and after
	Detect  time.Duration `json:"detect"`  // from the injection until the successor's supervisor took the leader's lock
	Promote time.Duration `json:"promote"` // until its server had left recovery
	Serve   time.Duration `json:"serve"`   // until it acknowledged a client's first write

	Total           time.Duration `json:"total"`
	TotalNormalized time.Duration `json:"totalNormalized"`
	// Redundancy is the time from the heal until every copy was in place again; 0 where that was not reached.
	Redundancy time.Duration `json:"redundancy"`
}

// Latency compares how long served writes took before the fault and, outages apart, while it was active: the 90th percentile of each,
// load-normalized, in nanoseconds.
type Latency struct {
	Before time.Duration `json:"before"`
	During time.Duration `json:"during"`
}

// FailedOver tells whether another instance became the shard's primary.
func (s Shard) FailedOver() bool {
	return s.PrimaryBefore != "" && s.PrimaryAfter != "" && s.PrimaryBefore != s.PrimaryAfter
}

// Summary says in one line what was seen, the worst first.
func (v Verdict) Summary() string {
	if len(v.Findings) == 0 {
		return "as predicted"
	}
	messages := make([]string, len(v.Findings))
	for i, f := range v.Findings {
		messages[i] = f.Message
	}
	return strings.Join(messages, "; ")
}

// Judge judges every case of a history, in the order of their start.
func Judge(records iter.Seq2[history.Record, error]) ([]Verdict, error) {
	court := NewCourt()
	for r, err := range records {
		if err == nil {
			err = court.Hear(r)
		}
		if err != nil {
			return nil, err
		}
	}
	if len(court.order) == 0 {
		return nil, ErrNoCases
	}
	verdicts := make([]Verdict, len(court.order))
	for i, e := range court.order {
		verdicts[i] = court.judge(e)
	}
	return verdicts, nil
}

func (e *Evidence) judge() Verdict {
	v := Verdict{Case: e.Case, Outcome: Pass, Findings: []Finding{}, Began: e.began, Took: e.ended - e.began, Shrunk: e.shrunk}
	for _, judge := range []func(*Evidence) []Finding{durable, oneWriter, consistent, balanced, available, unavailable, recovered, slower, bite, traffic, steps, distributed} {
		v.Findings = append(v.Findings, judge(e)...)
	}
	v.Notes = append(e.claims(), e.ownFaults()...)
	// What was lost or mixed up was, however the case went; anything else means little after a problem of our own.
	slices.SortStableFunc(v.Findings, func(a, b Finding) int { return rank(a) - rank(b) })
	if len(v.Findings) > 0 {
		v.Outcome = v.Findings[0].Outcome
	}
	for _, number := range e.Planned.Shards {
		v.Shards = append(v.Shards, e.shard(number))
	}
	return v
}

// rank orders findings: proof of data lost or mixed up first, then what makes the rest doubtful, then the rest, and last what fails no run.
// A failure that the harness had a part in makes no other doubtful, for which it had none.
func rank(f Finding) int {
	switch {
	case f.Outcome == Fail && slices.Contains([]string{durability, splitBrain, consistency}, f.Judge):
		return 0
	case f.Excused:
		return 3
	case f.Outcome == Indeterminate:
		return 1
	case f.Outcome == Slower:
		return 4
	default:
		return 2
	}
}

// shard gathers what clients saw of one shard.
func (e *Evidence) shard(number int) Shard {
	s := Shard{
		Number: number, Predicted: "available", PrimaryBefore: e.rolesBefore[number], PrimaryAfter: e.rolesAfter[number],
		Acked: len(e.servedBy(number, history.OpWrite)), Reads: len(e.servedBy(number, history.OpRead)),
		WriteOutages: e.outages(number, history.OpWrite), ReadOutages: e.outages(number, history.OpRead),
		Failover: e.failover(number), Latency: e.latency(number),
	}
	if slices.Contains(e.Planned.Unavailable, number) {
		s.Predicted = "unavailable"
	}
	for _, kind := range kinds {
		if gap := e.longestGap(number, kind, e.between(history.Inject, history.Heal)); gap.length() > s.Outage {
			s.Outage, s.OutageNormalized = gap.length(), e.normalize(gap)
		}
		if back, ok := e.recovery(number, kind); ok && back.length() > s.Recovery {
			s.Recovery, s.RecoveryNormalized = back.length(), e.normalize(back)
		}
	}
	return s
}

// seconds prints a duration to the tenth of a second, as no judge needs more.
func seconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
