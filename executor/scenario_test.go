package executor_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cutset-dev/cutset/executor"
)

// The fault scenarios of the reference notes that need no socket, by number. Those of single properties
// are in contract_test.go; 1 to 5 in podexec, 18 and 19 in resource, 25 and 26 in local.

// mix is the load of the key scenarios: LOW 1000/s that take 5 ms, HIGH 200/s that take 2 ms, 250 ms timeout.
type mix struct {
	rig
	low, high  func(i int) executor.Command[int]
	mu         sync.Mutex
	highTimes  []time.Duration
	highFailed int
	lowOK      int
}

func (m *mix) run(ctx context.Context, length time.Duration) {
	var wg sync.WaitGroup
	stream := func(every time.Duration, cmd func(i int) executor.Command[int], done func(time.Duration, error)) {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for i := range int(length / every) {
			<-tick.C
			began := time.Now()
			f := executor.Submit(ctx, m.Executor, cmd(i))
			wg.Go(func() {
				_, err := f.Wait(ctx)
				m.mu.Lock()
				defer m.mu.Unlock()
				done(time.Since(began), err)
			})
		}
	}
	wg.Go(func() {
		stream(time.Millisecond, m.low, func(_ time.Duration, err error) {
			if err == nil {
				m.lowOK++
			}
		})
	})
	wg.Go(func() {
		stream(5*time.Millisecond, m.high, func(took time.Duration, err error) {
			if err != nil {
				m.highFailed++
				return
			}
			m.highTimes = append(m.highTimes, took)
		})
	})
	wg.Wait()
}

func (m *mix) p99() time.Duration {
	slices.Sort(m.highTimes)
	if len(m.highTimes) == 0 {
		return time.Hour
	}
	return m.highTimes[len(m.highTimes)*99/100]
}

// newMix has 16 slots, as in the notes, and caps LOW by the sizing rule (6 slots).
func newMix(t *testing.T) *mix {
	t.Helper()
	timeout := executor.Timeout{Base: 250 * time.Millisecond, Max: 250 * time.Millisecond, Grace: 50 * time.Millisecond}
	r := newRig(t, []executor.Class{
		{Name: "low", Weight: 1, MaxParallel: 6, MaxQueue: 64, MaxQuarantine: 64, Timeout: timeout},
		{Name: "high", Weight: 100, MaxParallel: 10, Reserve: 10, MaxQuarantine: 64, Timeout: timeout, Tier: executor.TierHigh},
	}, executor.WithLimit(16))
	m := &mix{rig: *r}
	m.low = func(int) executor.Command[int] { return takes("low", 5*time.Millisecond) }
	m.high = func(int) executor.Command[int] { return takes("high", 2*time.Millisecond) }
	return m
}

// killable hangs until its kill hook is called, and lets go a little later.
func killable(class string, letGo time.Duration) executor.Command[int] {
	killed := make(chan struct{})
	return executor.Command[int]{
		Name: "killable", Class: class,
		Run: func(context.Context, executor.Attempt) (int, error) {
			<-killed
			<-time.After(letGo)
			return 0, errors.New("socket closed")
		},
		Kill: func() error { close(killed); return nil },
	}
}

func every(n int, hang, work func() executor.Command[int]) func(int) executor.Command[int] {
	return func(i int) executor.Command[int] {
		if i%n == 0 {
			return hang()
		}
		return work()
	}
}

// Scenario 8 (A): half of LOW hangs for ever and ignores everything.
func TestScenario08LowHangsForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMix(t)
		m.low = every(2, func() executor.Command[int] { return m.hung("low", "") }, func() executor.Command[int] { return takes("low", 5*time.Millisecond) })
		m.run(t.Context(), 5*time.Second)
		synctest.Wait()
		if m.highFailed != 0 || m.p99() > 10*time.Millisecond {
			t.Errorf("HIGH: %d lost, p99 %v, want 0 and at most 10 ms", m.highFailed, m.p99())
		}
		s, _ := m.Stats().Class("low")
		if s.QuarantinePeak != 64 || s.Quarantine == 0 {
			t.Errorf("LOW: quarantine peak %d, refused %d, want it closed at its bound of 64", s.QuarantinePeak, s.Quarantine)
		}
		if _, n := m.events(executor.EventQuarantineFull); n != 1 {
			t.Errorf("%d alerts about the closed class, want 1", n)
		}
		m.end()
	})
}

// Scenario 9 (B): half of LOW hangs but can be killed; (D): and a tenth of HIGH.
func TestScenario09KillKeepsTheShare(t *testing.T) {
	for name, highHangs := range map[string]bool{"B": false, "D": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newMix(t)
				m.low = every(2, func() executor.Command[int] { return killable("low", 10*time.Millisecond) },
					func() executor.Command[int] { return takes("low", 5*time.Millisecond) })
				lost := 0
				if highHangs {
					m.high = every(10, func() executor.Command[int] { return killable("high", 10*time.Millisecond) },
						func() executor.Command[int] { return takes("high", 2*time.Millisecond) })
					lost = 100 // those that hang themselves
				}
				m.run(t.Context(), 5*time.Second)
				if m.highFailed != lost || m.p99() > 10*time.Millisecond {
					t.Errorf("HIGH: %d lost, p99 %v, want %d and at most 10 ms", m.highFailed, m.p99(), lost)
				}
				// A pair of LOW commands takes 5 ms + 250 ms + 10 ms of a slot; there are six.
				share := 6 * 5000 / (5 + 260)
				if m.lowOK < share*90/100 {
					t.Errorf("LOW: %d done, want at least 90 %% of its share of %d", m.lowOK, share)
				}
				if s, _ := m.Stats().Class("low"); s.QuarantinePeak > 64 {
					t.Errorf("quarantine peak %d above its bound", s.QuarantinePeak)
				}
				m.end()
			})
		})
	}
}

// Scenario 10: everything hangs; it fails fast, stays bounded, and recovers when the hangs stop.
func TestScenario10EverythingHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMix(t)
		var hanging atomic.Bool
		hanging.Store(true)
		or := func(class string, d time.Duration) func(int) executor.Command[int] {
			return func(int) executor.Command[int] {
				if hanging.Load() {
					return m.hung(class, "")
				}
				return takes(class, d)
			}
		}
		m.low, m.high = or("low", 5*time.Millisecond), or("high", 2*time.Millisecond)
		m.run(t.Context(), 5*time.Second)
		for _, c := range m.Stats().Classes {
			if c.QuarantinePeak > 64 || c.Quarantine == 0 {
				t.Errorf("%s: peak %d, refused %d: want it bounded by 64, and failing fast", c.Class, c.QuarantinePeak, c.Quarantine)
			}
		}
		hanging.Store(false)
		close(m.release)
		m.release = make(chan struct{})
		stopped := time.Now()
		for {
			if _, err := executor.Do(t.Context(), m.Executor, takes("high", 2*time.Millisecond)); err == nil {
				break
			}
			pause(time.Millisecond)
		}
		if took := time.Since(stopped); took > 250*time.Millisecond+50*time.Millisecond+time.Second {
			t.Errorf("recovered after %v, the bound is ceiling + grace + 1 s", took)
		}
		m.end()
	})
}

// Scenario 15: a total failure of a minute is not amplified beyond 1 + ratio.
func TestScenario15RetryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classes := two()
		classes[0].Retry = executor.Retry{Max: 3, Ratio: .1}
		r := newRig(t, classes)
		for range 60 {
			for range 20 {
				executor.Submit(t.Context(), r.Executor, executor.Command[int]{
					Class: "low", Idempotent: true,
					Run: func(context.Context, executor.Attempt) (int, error) { return 0, errors.New("down") },
				})
			}
			pause(time.Second)
		}
		s, _ := r.Stats().Class("low")
		if amplification := float64(s.Attempts) / float64(s.Submitted); amplification > 1.11 {
			t.Errorf("%d attempts for %d commands: amplified %.3f, want at most 1.1", s.Attempts, s.Submitted, amplification)
		}
		if s.RetriesDenied == 0 {
			t.Error("no retry was denied")
		}
		r.end()
	})
}

// Scenario 16: retries that hang do not pin the budget: it is charged once and not held.
func TestScenario16HungRetriesDoNotPin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		classes := two()
		classes[0].MaxQuarantine = 100
		classes[0].Retry = executor.Retry{Max: 1, Ratio: .5, Backoff: time.Millisecond}
		r := newRig(t, classes)
		for range 4 {
			executor.Submit(t.Context(), r.Executor, executor.Command[int]{Class: "low", Idempotent: true, Run: func(ctx context.Context, a executor.Attempt) (int, error) {
				if a.N == 1 {
					return 0, errors.New("first fails")
				}
				return r.hang(ctx, a)
			}})
		}
		pause(2 * time.Minute) // the window passes; the hung retries are still there
		if s, _ := r.Stats().Class("low"); s.Quarantined == 0 {
			t.Error("no retry hangs: the test is void")
		}
		for range 3 {
			n := 0
			_, err := executor.Do(t.Context(), r.Executor, executor.Command[int]{Class: "low", Idempotent: true, Run: func(context.Context, executor.Attempt) (int, error) {
				if n++; n == 1 {
					return 0, errors.New("once")
				}
				return 0, nil
			}})
			if err != nil {
				t.Errorf("a good command may not retry while others hang: %v", err)
			}
		}
		r.end()
	})
}

// Scenario 17: scarcity sheds the lowest class after two looks, shrinks the limit at once, cuts retries,
// never sheds the top class; and all of it ends again, with hysteresis.
func TestScenario17SheddingAndLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		load := &fixedLoad{}
		r := newRig(t, []executor.Class{
			{Name: "low", Weight: 1, MaxParallel: 8, Retry: executor.Retry{Max: 1, Ratio: 1}},
			{Name: "mid", Weight: 10, MaxParallel: 4, Tier: executor.TierNormal},
			{Name: "high", Weight: 100, MaxParallel: 4, Reserve: 2, Tier: executor.TierCritical, Retry: executor.Retry{Max: 1, Ratio: 1}},
		}, executor.WithMonitor(load), executor.WithLimit(16))
		shed := func(class string) bool {
			_, err := executor.Do(t.Context(), r.Executor, ok(class))
			return errors.Is(err, executor.ErrShed)
		}
		expect := func(when string, limit int, low, mid bool) {
			t.Helper()
			if got := [2]bool{shed("low"), shed("mid")}; got != [2]bool{low, mid} || shed("high") {
				t.Errorf("%s: low shed %v, mid shed %v, want %v and %v, and never high", when, got[0], got[1], low, mid)
			}
			if got := r.Stats().Limit; got != limit {
				t.Errorf("%s: limit %d, want %d", when, got, limit)
			}
		}
		looks := func(n int) {
			for range n {
				pause(time.Second)
				r.Stats()
			}
		}
		expect("idle", 16, false, false)
		load.set(1)
		expect("scarce, first look", 4, false, false) // 16*(1-.75)
		looks(1)
		expect("scarce, once", 4, false, false)
		looks(1)
		expect("scarce", 4, true, true)
		fails := func(class string) error {
			_, err := executor.Do(t.Context(), r.Executor, executor.Command[int]{
				Class: class, Idempotent: true, Target: "x",
				Run: func(context.Context, executor.Attempt) (int, error) { return 0, errors.New("no") },
			})
			return err
		}
		_ = fails("high")
		if s, _ := r.Stats().Class("high"); s.Retries != 1 {
			t.Errorf("top class: %d retries, want 1", s.Retries)
		}
		load.set(.72) // mid ends below .85-.15; low stays, its threshold is .70
		looks(1)
		expect("less", 5, true, true)
		load.set(.6) // low ends below .55 only
		looks(1)
		expect("hysteresis", 6, true, false)
		load.set(.52)
		looks(1)
		expect("ended", 7, false, false)
		errIs(t, fails("low"), executor.ErrRetryBudget) // cut at .5
		load.set(0)
		looks(9)
		expect("over", 16, false, false)
		synctest.Wait()
		if _, n := r.events(executor.EventShed); n != 2 {
			t.Errorf("%d alerts about shedding, want 2: one per class and episode", n)
		}
		r.end()
	})
}

// Scenario 20: a storm of 429 with Retry-After: it is honoured, retries stop when the bucket is empty, and the
// recovery is no storm either.
// Scenario 21: a sink that hangs delays nothing; critical alerts are there when it recovers.
// Scenario 22: 10 000 refusals in a second are one alert.
// An observer that hangs loses records, and is counted; nothing waits for it.
// Scenarios 12 and 13: completion against deadline and late return, in real time. Every command gets exactly
// one result (a second one panics), and nothing is lost.
