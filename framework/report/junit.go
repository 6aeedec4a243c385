package report

import (
	"encoding/xml"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/jstemmer/go-junit-report/v2/junit"

	"github.com/cutset-dev/cutset/framework/verdict"
)

// These add to the library's the properties that CI servers read of a single test, which it does not know: of two fields with one name
// in XML, the outer one is written.
type testcase struct {
	Properties []junit.Property `xml:"properties>property,omitempty"`
	junit.Testcase
}

type testsuite struct {
	junit.Testsuite
	Testcases []testcase `xml:"testcase"`
}

type testsuites struct {
	junit.Testsuites
	Suites []testsuite `xml:"testsuite"`
}

// WriteJUnit writes the report as a JUnit file: one test per case, named by its id, so that a CI server knows it again in the next run. Its
// output names files of the directories of the runs that the report is about, for CI servers that attach them.
func (r *Report) WriteJUnit(file string, runs []string) error {
	suite := testsuite{Testsuite: junit.Testsuite{Name: clean("cutset " + r.Suite), Time: inSeconds(r.Took)}}
	for _, p := range r.properties() {
		suite.AddProperty(p.Name, p.Value)
	}
	add := func(t testcase) {
		t.Classname = clean("cutset." + r.Suite)
		suite.Testcases = append(suite.Testcases, t)
		suite.AddTestcase(t.Testcase) // counts it
	}
	if r.SetUpError != "" {
		add(testcase{Testcase: junit.Testcase{Name: "set up", Time: inSeconds(0), Error: &junit.Result{Message: clean(r.SetUpError), Type: "set up"}}})
	}
	for _, c := range r.Cases {
		t := testcase{Properties: r.propertiesOf(c), Testcase: junit.Testcase{
			Name: clean(c.ID), Time: inSeconds(c.Verdict.Took), Status: string(c.Verdict.Outcome), SystemOut: output(c, filepath.Dir(file), runs),
		}}
		switch c.Verdict.Outcome {
		case verdict.Pass, verdict.Slower:
		case verdict.Fail:
			t.Failure = explained(c)
		case verdict.Indeterminate:
			t.Error = explained(c)
		}
		add(t)
	}
	for _, n := range r.NotDone {
		t := testcase{Testcase: junit.Testcase{Name: clean(n.ID), Time: inSeconds(0)}}
		if n.Broken {
			t.Error = &junit.Result{Message: clean(n.Reason), Type: string(verdict.Harness)}
		} else {
			t.Skipped = &junit.Result{Message: clean(n.Reason)}
		}
		add(t)
	}
	all := testsuites{Suites: []testsuite{suite}}
	all.AddSuite(suite.Testsuite)
	all.Name, all.Time = suite.Name, suite.Time
	text, err := xml.MarshalIndent(all, "", "  ")
	if err == nil {
		err = os.WriteFile(file, slices.Concat([]byte(xml.Header), text, []byte("\n")), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write the report for CI: %w", err)
	}
	return nil
}

// explained is a failure, or an error: the judge of the worst finding, the line that the terminal has, and every finding.
func explained(c Case) *junit.Result {
	result := &junit.Result{Message: clean(Explain(c))}
	var lines []string
	for _, f := range c.Verdict.Findings {
		lines = append(lines, fmt.Sprintf("%s (%s, to blame: %s): %s", f.Judge, f.Outcome, f.Blame, f.Message))
	}
	if len(lines) > 0 {
		result.Type = c.Verdict.Findings[0].Judge
	}
	result.Data = clean(strings.Join(lines, "\n"))
	return result
}

func (r *Report) properties() []junit.Property {
	list := []junit.Property{
		{Name: "run", Value: r.Run}, {Name: "seed", Value: fmt.Sprint(r.Seed)}, {Name: "topology", Value: r.Fingerprint}, {Name: "machines", Value: r.Machines},
	}
	for _, c := range r.Coverage {
		list = append(list, junit.Property{Name: "decided-" + string(c.Level), Value: c.String()})
	}
	return cleaned(list)
}

// propertiesOf are what somebody wants to see of a case without a download.
func (r *Report) propertiesOf(c Case) []junit.Property {
	list := []junit.Property{
		{Name: "sentence", Value: c.Sentence},
		{Name: "fault-set", Value: strings.Join(c.Nodes, " ")},
		{Name: "level", Value: string(c.Level)},
		{Name: "kind", Value: c.Kind},
		{Name: "prediction", Value: string(c.Predict)},
		{Name: "verdict", Value: string(c.Verdict.Outcome)},
	}
	if raw, normalized, some := worstOutage(c); some {
		list = append(list, junit.Property{Name: "rto-seconds", Value: inSeconds(raw)}, junit.Property{Name: "rto-seconds-normalized", Value: inSeconds(normalized)})
	}
	list = append(list, junit.Property{Name: "lost-writes", Value: strconv.Itoa(c.Lost())}, junit.Property{Name: "seed", Value: fmt.Sprint(r.Seed)}, junit.Property{Name: "replay", Value: c.Replay})
	if c.Of != "" {
		list = append(list, junit.Property{Name: "repeat-of", Value: c.Of})
	}
	return cleaned(list)
}

// output says what was seen, and where: beside the report, in the run's directory, and for what did not go as predicted in the logs of the
// servers that a finding is about.
func output(c Case, dir string, runs []string) *junit.Output {
	files := []string{filepath.Join(dir, "report.html")}
	if run := c.dirOf(runs); run != "" {
		histories, _ := filepath.Glob(filepath.Join(run, "history*.jsonl")) // the pattern is good
		files = append(files, histories...)
		for _, instance := range c.suspects() {
			files = append(files, filepath.Join(run, "logs", instance+".log"))
		}
		for _, f := range c.Verdict.Findings {
			if f.Picture != "" {
				files = append(files, filepath.Join(run, f.Picture))
			}
		}
	}
	lines := []string{c.Verdict.Summary()}
	for _, file := range files {
		if full, err := filepath.Abs(file); err == nil {
			if _, err := os.Stat(full); err == nil {
				lines = append(lines, "[[ATTACHMENT|"+full+"]]")
			}
		}
	}
	return &junit.Output{Data: clean(strings.Join(lines, "\n"))}
}

// suspects are the instances whose logs have the other side of a finding.
func (c Case) suspects() (instances []string) {
	if c.AsPredicted() {
		return nil
	}
	instances = slices.Clone(c.Nodes) // of which some may be instances
	for _, f := range c.Verdict.Findings {
		instances = append(instances, f.Instances...)
		for _, s := range c.Verdict.Shards {
			if s.Number == f.Shard || f.Shard == 0 {
				instances = append(instances, s.PrimaryBefore, s.PrimaryAfter)
			}
		}
	}
	slices.Sort(instances)
	return slices.DeleteFunc(slices.Compact(instances), func(name string) bool { return name == "" })
}

func inSeconds(d time.Duration) string { return fmt.Sprintf("%.3f", d.Seconds()) }

func cleaned(list []junit.Property) []junit.Property {
	for i := range list {
		list[i].Value = clean(list[i].Value)
	}
	return list
}

// clean takes out what XML can't have, escaped or not: an error may quote anything that a server sent.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && r != '\n' && r != '\t' || r == '\uFFFE' || r == '\uFFFF' {
			return unicode.ReplacementChar
		}
		return r
	}, strings.ToValidUTF8(text, string(unicode.ReplacementChar)))
}
