package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cutset-dev/cutset/framework/verdict"
)

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
	for _, group := range r.leftOutByReason() {
		line("left out (%d): %s", len(group.IDs), group.Reason)
	}
	for _, group := range r.Repeats {
		line("%s", group)
	}
	if r.SetUpError != "" {
		line("NOT SET UP: %s", r.SetUpError)
	}
	for _, c := range r.Cases {
		if c.Verdict.Outcome != verdict.Pass {
			line("%s", Explain(c))
		}
	}
	line("%s in %.0f s; everything is in %s", r.Counts, r.Took.Seconds(), dir)
	return table.Flush()
}

// String mentions slower cases where there are some.
func (c Counts) String() string {
	slower := ""
	if c.Slower > 0 {
		slower = fmt.Sprintf(" %d slower,", c.Slower)
	}
	return fmt.Sprintf("%d passed,%s %d failed, %d indeterminate", c.Pass, slower, c.Fail, c.Indeterminate)
}

// worstOutage is the longest of the shards that had to serve, raw and load-normalized; there may be none.
func worstOutage(c Case) (raw, normalized time.Duration, some bool) {
	for _, s := range c.Verdict.Shards {
		if s.Predicted == "available" {
			raw, normalized, some = max(raw, s.Outage), max(normalized, s.OutageNormalized), true
		}
	}
	return raw, normalized, some
}

func outage(c Case) string {
	longest, _, some := worstOutage(c)
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
