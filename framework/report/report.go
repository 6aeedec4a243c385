// Package report turns verdicts into what people and machines read: report.json, report.html and the summary on the
// terminal.
package report

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/verdict"
)

// Report is everything about a run. Its JSON is report.json, which schema.json describes.
type Report struct {
	Run         string          `json:"run"`
	Suite       string          `json:"suite"`
	Table       string          `json:"table"`
	Seed        int64           `json:"seed"`
	Fingerprint string          `json:"fingerprint"`
	Machines    string          `json:"machines"` // what they are made of
	Took        time.Duration   `json:"took"`     // nanoseconds
	Counts      Counts          `json:"counts"`
	Coverage    []plan.Coverage `json:"coverage"`
	Cases       []Case          `json:"cases"`
	LeftOut     []plan.LeftOut  `json:"leftOut"`
	SetUpError  string          `json:"setUpError,omitempty"`

	// What the executor did: commands that it gave up, attempts (all but answered looks) with the timeout that each got
	// and why, and counts by class, of abandoned and quarantined ones too.
	Alerts       []executor.Alert         `json:"alerts"`
	AlertsByTier map[string]int           `json:"alertsByTier"`
	Attempts     []executor.AttemptRecord `json:"attempts"`
	Executor     executor.Stats           `json:"executor"`
}

// Counts are the numbers of cases by outcome.
type Counts struct {
	Pass          int `json:"pass"`
	Fail          int `json:"fail"`
	Indeterminate int `json:"indeterminate"`
}

// Case is a planned case and what became of it.
type Case struct {
	plan.Case
	Verdict verdict.Verdict `json:"verdict"`
	Replay  string          `json:"replay"` // the command that runs it again
}

// Count fills in Counts.
func (r *Report) Count() {
	for _, c := range r.Cases {
		switch c.Verdict.Outcome {
		case verdict.Pass:
			r.Counts.Pass++
		case verdict.Fail:
			r.Counts.Fail++
		case verdict.Indeterminate:
			r.Counts.Indeterminate++
		}
	}
}

// Decided returns the cases that say something about other fault sets: those that went as predicted.
func (r *Report) Decided() []plan.Case {
	var decided []plan.Case
	for _, c := range r.Cases {
		if c.Verdict.Outcome == verdict.Pass {
			decided = append(decided, c.Case)
		}
	}
	return decided
}

// Add adds what another part of the same plan found. Counts and Coverage are not added up.
func (r *Report) Add(part *Report) {
	r.Suite, r.Table, r.Seed, r.Fingerprint, r.Machines = part.Suite, part.Table, part.Seed, part.Fingerprint, part.Machines
	r.Took = max(r.Took, part.Took) // they ran side by side
	r.Cases = append(r.Cases, part.Cases...)
	r.Alerts = append(r.Alerts, part.Alerts...)
	for tier, n := range part.AlertsByTier {
		r.AlertsByTier[tier] += n
	}
	r.Attempts = append(r.Attempts, part.Attempts...)
	if part.SetUpError != "" {
		r.SetUpError = part.SetUpError
	}
}

// Read reads a report.json.
func Read(file string) (*Report, error) {
	text, err := os.ReadFile(file) //nolint:gosec // the caller's file
	if err != nil {
		return nil, err
	}
	var r Report
	if err := json.Unmarshal(text, &r); err != nil {
		return nil, fmt.Errorf("read %s: %w", file, err)
	}
	return &r, nil
}

// Write writes report.json.
func (r *Report) Write(file string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// Explain says in one line what was predicted, what was seen, and how to see it again.
func Explain(c Case) string {
	return fmt.Sprintf("%s: predicted: %s; seen: %s; replay: %s", strings.ToUpper(string(c.Verdict.Outcome)), c.Sentence, c.Verdict.Summary(), c.Replay)
}

// Summarize prints the summary.
func (r *Report) Summarize(w io.Writer, dir string) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	line := func(format string, args ...any) { _, _ = fmt.Fprintf(table, format+"\n", args...) }
	line("\nVERDICT\tTOOK\tOUTAGE\tFAILED OVER\tCASE")
	for _, c := range r.Cases {
		line("%s\t%.0f s\t%s\t%s\t%s", c.Verdict.Outcome, c.Verdict.Took.Seconds(), outage(c), failovers(c), c.ID)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	line("")
	for _, c := range r.Coverage {
		line("%s", c)
	}
	if left := len(r.LeftOut); left > 0 {
		reasons := map[string]int{}
		var order []string
		for _, l := range r.LeftOut {
			if reasons[l.Reason]++; reasons[l.Reason] == 1 {
				order = append(order, l.Reason)
			}
		}
		for _, reason := range order {
			line("left out (%d): %s", reasons[reason], reason)
		}
	}
	if r.SetUpError != "" {
		line("NOT SET UP: %s", r.SetUpError)
	}
	for _, c := range r.Cases {
		if c.Verdict.Outcome != verdict.Pass {
			line("%s", Explain(c))
		}
	}
	line("%d passed, %d failed, %d indeterminate in %.0f s; everything is in %s", r.Counts.Pass, r.Counts.Fail, r.Counts.Indeterminate, r.Took.Seconds(), dir)
	return table.Flush()
}

// worstOutage is the longest of the shards that had to serve; there may be none.
func worstOutage(c Case) (longest time.Duration, some bool) {
	for _, s := range c.Verdict.Shards {
		if s.Predicted == "available" {
			longest, some = max(longest, s.Outage), true
		}
	}
	return longest, some
}

func outage(c Case) string {
	longest, some := worstOutage(c)
	if !some {
		return "-"
	}
	return fmt.Sprintf("%.1f s", longest.Seconds())
}

func failovers(c Case) string {
	var list []string
	for _, s := range c.Verdict.Shards {
		if s.FailedOver() {
			list = append(list, fmt.Sprintf("%s>%s", s.PrimaryBefore, s.PrimaryAfter))
		}
	}
	if len(list) == 0 {
		return "-"
	}
	return strings.Join(list, " ")
}
