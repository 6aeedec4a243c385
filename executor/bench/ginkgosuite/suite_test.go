// Package ginkgosuite shows the executor inside a Ginkgo suite. It is in this module because package executor and what
// is below it in the main module must not import Ginkgo.
package ginkgosuite

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/executor/alert"
)

var (
	ex     *executor.Executor
	alerts = alert.NewReport()
)

func TestSuite(t *testing.T) {
	gomega.RegisterFailHandler(ginkgo.Fail)
	ginkgo.RunSpecs(t, "executor inside a suite")
}

var _ = ginkgo.BeforeSuite(func() {
	classes := executor.DefaultClasses()
	for i := range classes { // so that the example is short
		classes[i].Timeout = executor.Timeout{Base: 20 * time.Millisecond, Max: 40 * time.Millisecond, Grace: 10 * time.Millisecond}
	}
	var err error
	ex, err = executor.New(classes, executor.WithSinks(alerts, executor.NewSlogSink(nil)))
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	ginkgo.DeferCleanup(func(ctx context.Context) {
		gomega.Expect(ex.Drain(ctx)).To(gomega.Succeed())
	}, ginkgo.NodeTimeout(10*time.Second))
})

// scope marks the commands of a spec; its alerts go into the report of that spec, and of no other.
func scope(ctx context.Context) context.Context {
	return executor.WithScope(ctx, ginkgo.CurrentSpecReport().FullText())
}

var _ = ginkgo.AfterEach(func(ctx context.Context) {
	gomega.Expect(ex.Flush(ctx)).To(gomega.Succeed())
	_ = alerts.Flush(ginkgo.CurrentSpecReport().FullText(), func(e alert.Entry) {
		visible := ginkgo.ReportEntryVisibilityFailureOrVerbose
		if e.Always {
			visible = ginkgo.ReportEntryVisibilityAlways
		}
		ginkgo.AddReportEntry("executor: "+e.Name, visible, e.Alert)
	}) // its error is text for ginkgo.Fail, where critical alerts should fail the spec
})

var _ = ginkgo.Describe("a command that never answers", func() {
	ginkgo.It("is given up, and reported in this spec", func(ctx ginkgo.SpecContext) {
		never := make(chan struct{})
		defer close(never)
		_, err := executor.Do(scope(ctx), ex, executor.Command[int]{
			Name: "isolate m1", Class: "fault", Target: "m1",
			Run: func(context.Context, executor.Attempt) (int, error) { <-never; return 0, nil },
		})
		gomega.Expect(err).To(gomega.MatchError(executor.ErrAbandoned))
	})
	ginkgo.It("does not stop others", func(ctx ginkgo.SpecContext) {
		_, err := executor.Do(scope(ctx), ex, executor.Command[int]{
			Name: "look", Class: "probe", Target: "m1",
			Run: func(context.Context, executor.Attempt) (int, error) { return 0, nil },
		})
		gomega.Expect(err).NotTo(gomega.HaveOccurred())
	})
})

var _ = ginkgo.ReportAfterSuite("every alert is in the report of its own spec", func(r ginkgo.Report) {
	var errs []error
	for _, spec := range r.SpecReports {
		want := 0
		if spec.LeafNodeText == "is given up, and reported in this spec" {
			want = 1
		}
		if len(spec.ReportEntries) != want {
			errs = append(errs, errors.New(spec.FullText()+": wrong number of entries"))
		}
	}
	gomega.Expect(errors.Join(errs...)).To(gomega.Succeed())
})
