package executor_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/cutset-dev/cutset/executor"
)

// quiet logs alerts without the time, for examples.
func quiet() executor.Sink {
	return executor.NewSlogSink(slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey || a.Key == "error" {
				return slog.Attr{}
			}
			return a
		},
	})))
}

// Two classes; the heavy one keeps working while commands of the light one hang for good.
func Example() {
	limit := executor.Timeout{Base: 20 * time.Millisecond, Max: 50 * time.Millisecond, Grace: 10 * time.Millisecond}
	ex, err := executor.New([]executor.Class{
		{Name: "probe", Weight: 1, MaxParallel: 1, Timeout: limit},
		{Name: "heal", Weight: 100, MaxParallel: 1, Reserve: 1, Tier: executor.TierCritical},
	}, executor.WithSinks(quiet()))
	if err != nil {
		panic(err)
	}
	ctx, never := context.Background(), make(chan struct{})
	probe := executor.Submit(ctx, ex, executor.Command[string]{
		Name: "is it up", Class: "probe", Target: "pg-0",
		Run: func(context.Context, executor.Attempt) (string, error) {
			<-never // a transport that never answers, and ignores its context
			return "", nil
		},
	})
	answer, err := executor.Do(ctx, ex, executor.Command[string]{
		Name: "heal", Class: "heal", Target: "pg-0",
		Run: func(context.Context, executor.Attempt) (string, error) { return "healed", nil },
	})
	fmt.Println(answer, err)
	_, err = probe.Wait(ctx)
	fmt.Println(errors.Is(err, executor.ErrTimeout), errors.Is(err, executor.ErrAbandoned))
	close(never)
	if err := ex.Drain(ctx); err != nil {
		fmt.Println(err)
	}
	// Unordered output:
	// healed <nil>
	// true true
	// level=INFO msg="gave up probe command \"is it up\" after 1 attempt(s)" event=given_up class=probe tier=low command="is it up" target=pg-0 attempts=1
}

// An operator's reconcile loop: one cluster whose pod hangs does not stop the reconciliation of the others, and
// the loop asks to be called again in place of waiting.
func Example_reconcile() {
	limit := executor.Timeout{Base: 20 * time.Millisecond, Max: 50 * time.Millisecond, Grace: 10 * time.Millisecond}
	ex, err := executor.New([]executor.Class{
		{Name: "reconcile", Weight: 1, MaxParallel: 4, MaxPerTarget: 1, Timeout: limit},
	}, executor.WithSinks())
	if err != nil {
		panic(err)
	}
	released := make(chan struct{})
	// exec stands for (*podexec.Client).Func, or for the operator's own helper.
	exec := func(ctx context.Context, pod string) (string, error) {
		return executor.Do(ctx, ex, executor.Command[string]{
			Name: "pg_isready", Class: "reconcile", Target: pod, Idempotent: true,
			Run: func(context.Context, executor.Attempt) (string, error) {
				if pod == "b-0" {
					<-released // its node is gone, and the stream stays open
				}
				return "accepting connections", nil
			},
		})
	}
	reconcile := func(ctx context.Context, cluster string) (requeueAfter time.Duration, err error) {
		status, err := exec(executor.WithScope(ctx, cluster), cluster+"-0")
		var failure *executor.Error
		switch {
		case errors.Is(err, executor.ErrTargetStuck): // it hung before, and is probed by the executor
			errors.As(err, &failure)
			return failure.RetryAfter.Round(time.Second), nil
		case errors.Is(err, executor.ErrTimeout):
			return time.Second, nil
		case err != nil:
			return 0, err
		}
		fmt.Println(cluster, status)
		return time.Minute, nil
	}
	for _, cluster := range []string{"a", "b", "c", "b"} {
		after, err := reconcile(context.Background(), cluster)
		fmt.Println(cluster, "again in", after, err)
	}
	close(released)
	if err := ex.Drain(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// a accepting connections
	// a again in 1m0s <nil>
	// b again in 1s <nil>
	// c accepting connections
	// c again in 1m0s <nil>
	// b again in 5s <nil>
}
