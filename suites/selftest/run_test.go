package selftest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// binary is the compiled suite.
type binary string

const dir = "../ha" // where it is, and runs

// build compiles the suite once for all runs.
func build(t *testing.T) binary {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ha.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-o", file, dir).CombinedOutput(); err != nil { //nolint:gosec // our own
		t.Fatalf("build %s: %v\n%s", dir, err, out)
	}
	return binary(file)
}

// outcome is what a run left.
type outcome struct {
	failed  bool // it had an exit code
	printed string
	dir     string
	report  report
	page    string
}

// report is what selftest reads of report.json: as any program would, without the framework.
type report struct {
	SetUpError string `json:"setUpError"`
	Cases      []struct {
		ID      string `json:"id"`
		Verdict struct {
			Outcome  string    `json:"outcome"`
			Findings []finding `json:"findings"`
		} `json:"verdict"`
	} `json:"cases"`
}

type finding struct {
	Judge   string  `json:"judge"`
	Outcome string  `json:"outcome"`
	Blame   string  `json:"blame"`
	Message string  `json:"message"`
	IDs     []int64 `json:"ids"`
	Writes  []struct {
		Client string `json:"client"`
		Server string `json:"server"`
	} `json:"writes"`
}

func (f finding) String() string { return fmt.Sprintf("%s, %s: %s", f.Judge, f.Blame, f.Message) }

var madeIn = regexp.MustCompile(`everything is in (\S+)`)

// run runs the suite and reads what it left. At the end of the context the run is interrupted, and takes its machines down.
func (b binary) run(ctx context.Context, t *testing.T, s seeded) (o outcome) {
	t.Helper()
	name := regexp.MustCompile(`\W+`).ReplaceAllString(s.name, "-")
	cmd := exec.CommandContext(ctx, string(b), append(s.flags(), "-test.timeout=10m", "-output=_output/selftest/"+name)...) //nolint:gosec // our own
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = time.Minute
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a terminal's Ctrl-C gets there once, from us
	cmd.Dir = dir
	// Nothing that a user has set makes it another run.
	cmd.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "CUTSET_") })
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		return o
	}
	o.failed, o.printed = err != nil, string(out)
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	found := madeIn.FindStringSubmatch(o.printed)
	if found == nil {
		t.Fatalf("the run does not say where its results are (%v):\n%s", err, o.printed)
	}
	o.dir = found[1]
	text, err := os.ReadFile(filepath.Join(o.dir, "report.json"))
	if err == nil {
		err = json.Unmarshal(text, &o.report)
	}
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile(filepath.Join(o.dir, "report.html"))
	if err != nil {
		t.Fatal(err)
	}
	o.page = string(page)
	return o
}

// caught says what was found, or what was wrong with that.
func (s seeded) caught(o outcome) (by string, err error) {
	if o.report.SetUpError != "" {
		return "", fmt.Errorf("not set up: %s", o.report.SetUpError)
	}
	if len(o.report.Cases) == 0 {
		return "", errors.New("no case was done")
	}
	good := s.want.outcome == "pass" || s.want.outcome == "slower"
	if o.failed == good {
		return "", fmt.Errorf("the run's exit code says failed=%t", o.failed)
	}
	for _, c := range o.report.Cases {
		if c.Verdict.Outcome != s.want.outcome {
			return "", fmt.Errorf("%s: %s instead of %s: %v", c.ID, c.Verdict.Outcome, s.want.outcome, c.Verdict.Findings)
		}
	}
	if s.want.outcome != "pass" {
		return s.found(o.report.Cases[0].Verdict.Findings)
	}
	for text, want := range map[string]string{o.printed: s.want.printed, o.page: s.want.page} {
		if !regexp.MustCompile(want).MatchString(text) {
			return "", fmt.Errorf("nothing says %q", want)
		}
	}
	return strings.TrimSpace("as predicted. " + regexp.MustCompile(s.want.printed).FindString(o.printed)), nil
}

// found looks for the wanted finding among those that decide the outcome.
func (s seeded) found(findings []finding) (by string, err error) {
	message := regexp.MustCompile(s.want.message)
	for _, f := range findings {
		switch {
		case f.Judge != s.want.judge || !message.MatchString(f.Message):
			continue
		case f.Outcome != s.want.outcome || f.Blame != s.want.blame:
			return "", fmt.Errorf("%v: the blame should be on %s", f, s.want.blame)
		case s.want.writes && (len(f.IDs) == 0 || len(f.Writes) == 0 || f.Writes[0].Client == "" || f.Writes[0].Server == ""):
			return "", fmt.Errorf("%v: without evidence of which writes, whose, and where", f)
		case findings[0].Blame != s.want.blame:
			return "", fmt.Errorf("%v: but first of all %v", f, findings[0])
		}
		return f.String(), nil
	}
	return "", fmt.Errorf("judge %s did not find %q; there are %v", s.want.judge, s.want.message, findings)
}
