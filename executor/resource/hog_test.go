package resource

import (
	"context"
	"errors"
	"os/exec"
	"runtime"
	"testing"
	"time"

	"github.com/cutset-dev/cutset/executor"
)

// Processes that take all CPU there is, measured on this machine: scarcity rises in 3 s, the executor reacts, and
// it is over 10 s after they have ended. Scenario 17.
func TestRealHogs(t *testing.T) {
	if testing.Short() {
		t.Skip("takes all processors for some seconds; left out by -short")
	}
	m := Start(Options{Memory: newFake(), IO: newFake()})
	defer m.Stop()
	ex, err := executor.New([]executor.Class{
		{Name: "low", Weight: 1, MaxParallel: 8},
		{Name: "high", Weight: 10, MaxParallel: 8, Reserve: 2},
	}, executor.WithMonitor(m), executor.WithLimit(16), executor.WithSinks())
	if err != nil {
		t.Fatal(err)
	}
	submit := func(class string) error {
		_, err := executor.Do(t.Context(), ex, executor.Command[int]{
			Class: class, Run: func(context.Context, executor.Attempt) (int, error) { return 0, nil },
		})
		return err
	}
	within := func(limit time.Duration, what string, holds func() bool) {
		t.Helper()
		for began := time.Now(); ; <-time.After(20 * time.Millisecond) {
			took := time.Since(began)
			if holds() {
				t.Logf("%s after %v: %+v", what, took.Round(time.Millisecond), m.Snapshot().CPU)
				return
			}
			if took > limit {
				t.Fatalf("not %s within %v: %+v", what, limit, m.Snapshot())
			}
		}
	}
	quiet := time.Now().Add(3 * time.Second)
	for <-time.After(1100 * time.Millisecond); m.Load().Scarcity > .5; <-time.After(100 * time.Millisecond) {
		if time.Now().After(quiet) {
			t.Skipf("the machine is short of CPU already: %+v", m.Snapshot().CPU)
		}
	}
	ctx, end := context.WithCancel(t.Context())
	defer end()
	var hogs []*exec.Cmd
	for range runtime.NumCPU() {
		// Nice, so that the tests of other packages, which run at the same time, keep their times.
		hog := exec.CommandContext(ctx, "nice", "-n", "19", "sh", "-c", "while :; do :; done")
		if err := hog.Start(); err != nil {
			t.Fatal(err)
		}
		hogs = append(hogs, hog)
	}
	within(3*time.Second, "S >= .9", func() bool { return m.Load().Scarcity >= .9 })
	if f := ex.LoadFactor(); f < 3.5 { // 3.7 at .9; the next sample may be a little lower
		t.Errorf("timeouts are stretched by %.2f, want about 3.7", f)
	}
	within(4*time.Second, "low is shed", func() bool { return errors.Is(submit("low"), executor.ErrShed) })
	if limit := ex.Stats().Limit; limit > 8 || limit < 2 {
		t.Errorf("limit %d of 16, want at least the reserve of 2, and less than half", limit)
	}
	if err := submit("high"); err != nil {
		t.Errorf("the top class: %v", err)
	}
	end()
	for _, hog := range hogs {
		_ = hog.Wait() // killed
	}
	others := &hostCPU{}
	_, _, _ = others.read(t.Context())
	quiet = time.Now().Add(10 * time.Second)
	for m.Load().Scarcity >= .55 || submit("low") != nil {
		if time.Now().After(quiet) {
			if idle, _, err := others.read(t.Context()); err != nil || idle < .4 {
				t.Skipf("others keep the machine busy: idle %.2f since the hogs ended, %v", idle, err)
			}
			t.Fatalf("not over 10 s after the hogs ended: %+v", m.Snapshot())
		}
		<-time.After(20 * time.Millisecond)
	}
	if err := ex.Drain(t.Context()); err != nil {
		t.Error(err)
	}
}
