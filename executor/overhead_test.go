package executor_test

import (
	"context"
	"testing"

	"github.com/cutset-dev/cutset/executor"
)

func overheadExecutor(b *testing.B) *executor.Executor {
	b.Helper()
	ex, err := executor.New([]executor.Class{
		{Name: "c", Weight: 1, MaxParallel: 16, MaxQueue: 1 << 30},
	}, executor.WithSinks())
	if err != nil {
		b.Fatal(err)
	}
	return ex
}

func nop(context.Context, executor.Attempt) (struct{}, error) { return struct{}{}, nil }

// Submit and completion of a command that does nothing, 16 slots, many in flight.
func BenchmarkSubmitComplete(b *testing.B) {
	for name, ctx := range map[string]context.Context{"background": context.Background(), "cancellable": b.Context()} {
		b.Run(name, func(b *testing.B) {
			ex := overheadExecutor(b)
			b.ReportAllocs()
			for b.Loop() {
				executor.Submit(ctx, ex, executor.Command[struct{}]{Class: "c", Run: nop})
			}
			if err := ex.Drain(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// One command at a time, waited for.
func BenchmarkRoundTrip(b *testing.B) {
	ex := overheadExecutor(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := executor.Do(context.Background(), ex, executor.Command[struct{}]{Class: "c", Run: nop}); err != nil {
			b.Fatal(err)
		}
	}
}
