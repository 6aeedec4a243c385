package framework

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/ginkgo/v2/types"
	"github.com/onsi/gomega"

	"github.com/cutset-dev/cutset/executor/alert"
	"github.com/cutset-dev/cutset/framework/plan"
	"github.com/cutset-dev/cutset/framework/verdict"
)

// Suite says what a suite plans for. What it leaves empty has the defaults that the flags document.
type Suite struct {
	Name        string   // begins its case ids: lower-case letters and digits
	Levels      []string // machine, instance
	Kinds       []string // of fault
	MaxSize     int      // nodes that fail together
	BudgetCases int
}

// declared counts the calls of Cases.
var declared int

// current is the run that the tree is built from. Ginkgo's tree is global, and so is this.
var current *run

// RunSuite sets up the suite's run, generates its specs and runs them. Call it from the package's one test function.
func RunSuite(t *testing.T, suite Suite) {
	t.Helper()
	if !entered {
		t.Fatal("the package needs `func TestMain(m *testing.M) { framework.Main(m) }`")
	}
	if declared != 1 {
		t.Fatalf("the package needs `var _ = framework.Cases(...)` at its top level once, and has it %d times", declared)
	}
	config := settings.with(suite)
	if owner, _, found := strings.Cut(config.caseID, ":"); config.caseID != "" && (!found || owner != suite.Name) {
		t.Skipf("case %s is not of suite %s", config.caseID, suite.Name)
	}
	gomega.RegisterFailHandler(ginkgo.Fail)
	suiteConfig, reporterConfig := ginkgo.GinkgoConfiguration()
	if len(config.quantiles) > 0 && suiteConfig.ParallelTotal > 1 {
		t.Fatal("-budget-quantiles judges all repeats of a case together, and parallel processes would share them out; run Ginkgo with one process")
	}

	ctx, stop := signal.NotifyContext(t.Context(), os.Interrupt, syscall.SIGTERM)
	r, err := newRun(suite, config, suiteConfig.ParallelProcess, parallelKey(suiteConfig.ParallelTotal, suiteConfig.ParallelHost, suiteConfig.RandomSeed))
	if err != nil {
		stop()
		t.Fatal(err)
	}
	current = r
	if deadline, ok := t.Deadline(); ok {
		r.deadline = deadline
	}
	hide, err := r.showProgress()
	if err != nil {
		stop()
		t.Fatal(err)
	}
	defer hide()
	r.setupErr = r.setUp(ctx)
	r.progress.planned(r.plan, r.setupErr)
	stop()
	defer r.tearDown(context.WithoutCancel(ctx))
	if config.planOnly {
		if r.setupErr != nil {
			t.Fatal(r.setupErr)
		}
		r.printPlan()
		return
	}
	// The run prints its own progress; Ginkgo's details come with -ginkgo.v, and with failures.
	reporterConfig.NoColor, reporterConfig.ForceNewlines = true, true
	reporterConfig.Succinct = !reporterConfig.Verbose && !reporterConfig.VeryVerbose
	ginkgo.RunSpecs(t, "cutset "+suite.Name, suiteConfig, reporterConfig)
	hide() // the summary comes after what Ginkgo says, by the same way
	if r.report != nil {
		if err := r.report.Summarize(r.out, r.dir); err != nil {
			r.say("summary: %v", err)
		}
	}
}

// parallelKey is the same in all processes of one parallel run of Ginkgo, and "" without one.
func parallelKey(total int, host string, seed int64) string {
	if total < 2 {
		return ""
	}
	return fmt.Sprintf("p%d-%s", seed, host[strings.LastIndex(host, ":")+1:])
}

// Cases declares the specs of the run's plan, one each. Write `var _ = framework.Cases(...)` at the top level.
// It may be written once in a suite.
func Cases(text string) bool {
	declared++
	return ginkgo.Describe(text, func() {
		r := current
		if r.setupErr != nil {
			// A spec, so that reports show it too.
			ginkgo.It("set up: "+r.id, func() { ginkgo.Fail(r.setupErr.Error()) })
			return
		}
		for number, c := range r.plan.Cases {
			// Ginkgo orders specs by where they are written: these are, in the plan.
			ginkgo.It(c.Sentence, ginkgo.Label(c.ID), r.locate(c), func(ctx ginkgo.SpecContext) {
				if reason := r.noTimeFor(); reason != "" {
					r.leaveOut(c.ID, reason)
					ginkgo.Skip(reason)
				}
				v, err := r.runCase(ctx, fmt.Sprintf("%d/%d", number+1, len(r.plan.Cases)), c)
				if err == nil && r.shrinkable(c, v) {
					v.Shrunk, err = r.shrink(ctx, c)
					r.progress.ended(r.reportOf(c, v))
				}
				r.addEntries(ctx, c.ID)
				gomega.Expect(err).NotTo(gomega.HaveOccurred())
				ginkgo.AddReportEntry("verdict", v, ginkgo.ReportEntryVisibilityNever)
				switch {
				case v.Outcome.Fails():
					ginkgo.Fail(r.explain(c, v))
				case v.Outcome == verdict.Slower: // no failure, and not to be overlooked
					ginkgo.AddReportEntry(string(v.Outcome), r.explain(c, v), ginkgo.ReportEntryVisibilityAlways)
				}
			})
		}
	})
}

// The report is written also when the run was cut short: Ginkgo runs this node after an interrupt too.
var _ = ginkgo.ReportAfterSuite("report of the run", func(_ ginkgo.SpecContext, report ginkgo.Report) {
	if current == nil {
		return
	}
	gomega.Expect(current.writeReport(report.SpecReports)).To(gomega.Succeed())
})

// addEntries gives the spec that runs the alerts of its own case.
func (r *run) addEntries(ctx context.Context, id string) {
	if err := r.commands.Flush(ctx); err != nil {
		r.log.Warn("flush alerts", "error", err)
	}
	err := r.entries.Flush(id, func(e alert.Entry) {
		visibility := ginkgo.ReportEntryVisibilityFailureOrVerbose
		if e.Always {
			visibility = ginkgo.ReportEntryVisibilityAlways
		}
		ginkgo.AddReportEntry("alert: "+e.Name, e.Alert, visibility)
	})
	if err != nil { // the case's verdict says what it means
		r.log.Error("critical alerts", "case", id, "error", err)
	}
}

// locate returns the place of the case in the frozen plan. Of repeats it begins with which that is: one pass comes after the other.
func (r *run) locate(c plan.Case) types.CodeLocation {
	file := r.file("plan.json")
	text, _ := os.ReadFile(file) //nolint:gosec // the run's own
	before, _, _ := strings.Cut(string(text), strconv.Quote(c.Planned()))
	if c.Repeat > 0 {
		file = fmt.Sprintf("repeat %04d of %s", c.Repeat, file)
	}
	return types.CodeLocation{FileName: file, LineNumber: 1 + strings.Count(before, "\n")}
}

// noTimeFor says why there is no time for another case, or "": go test kills what runs past its timeout.
func (r *run) noTimeFor() string {
	const rest = 30 * time.Second // to tear down and report
	if r.deadline.IsZero() || time.Until(r.deadline) > r.backend().eachCase*2+rest {
		return ""
	}
	return fmt.Sprintf("left out: go test's timeout is near (%s); raise -timeout or lower -budget-cases", r.deadline.Format(time.TimeOnly))
}
