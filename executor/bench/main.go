// Bench compares package executor with what Go programs use in its place when commands hang: who keeps the latency
// of important commands, who loses what. It is a module of its own, so that no peer gets into the module graph
// of users.
//
//	go run . -scenarios A,B,C,D -seconds 5 [-hogs 2] [-only cutset]
//	go test -bench . -benchmem -cpu 2
//
// 16 slots; LOW 1000/s that take 5 ms, HIGH 200/s that take 2 ms; the timeout of a command is 250 ms.
//
//	A  half of LOW hangs for ever and ignores its context
//	B  half of LOW hangs, and returns 300 ms after cancellation (as after a kill)
//	C  half of LOW hangs, but obeys its context
//	D  as B, and a tenth of HIGH too
//
// A command is lost if it failed or took more than 2 s; commands that hang themselves are not counted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"
)

func main() {
	scenarios := flag.String("scenarios", "A,B,C,D", "which of A, B, C, D")
	seconds := flag.Float64("seconds", 5, "length of the load of one scenario")
	hogs := flag.Int("hogs", 0, "processes that burn CPU meanwhile")
	only := flag.String("only", "", "only peers whose name contains this")
	flag.Parse()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	for range *hogs {
		if err := exec.CommandContext(ctx, "sh", "-c", "while :; do :; done").Start(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	for _, s := range strings.Split(*scenarios, ",") {
		fmt.Printf("\nscenario %s, %gs, %d hogs, GOMAXPROCS %d\n", s, *seconds, *hogs, runtime.GOMAXPROCS(0))
		out := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(out, "peer\tHIGH ok\tp50\tp99\tLOW ok\tlast LOW ok\tsubmit p99.9\tgoroutines left")
		for _, p := range peers {
			if strings.Contains(p.name, *only) {
				fmt.Fprintln(out, p.name+"\t"+run(p.make(), s, time.Duration(*seconds*float64(time.Second))))
			}
		}
		_ = out.Flush()
	}
}

// tally is what became of the commands.
type tally struct {
	mu                 sync.Mutex
	highTimes          []time.Duration
	highSent, highLost int
	lowSent, lowOK     int
	lastLow            time.Duration
	submits            []time.Duration
}

var errHung = errors.New("hung")

// hang is a command that does not end by itself.
func hang(scenario string, release <-chan struct{}) work {
	return func(ctx context.Context) error {
		switch scenario {
		case "A":
			<-release
		case "C":
			<-ctx.Done()
		default:
			select {
			case <-ctx.Done():
				timer := time.NewTimer(300 * time.Millisecond)
				defer timer.Stop()
				select {
				case <-timer.C:
				case <-release:
				}
			case <-release:
			}
		}
		return errHung
	}
}

func takes(d time.Duration) work {
	return func(ctx context.Context) error {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func run(p peer, scenario string, length time.Duration) string {
	before := runtime.NumGoroutine()
	t := &tally{}
	release := make(chan struct{})
	began := time.Now()
	stream := func(every time.Duration, high bool, duration time.Duration, hangs func(i int) bool) {
		for i := range int(length / every) {
			if wait := time.Until(began.Add(time.Duration(i) * every)); wait > 0 {
				<-time.After(wait)
			}
			w, healthy := takes(duration), !hangs(i)
			if !healthy {
				w = hang(scenario, release)
			}
			sent := time.Now()
			p.submit(high, w, func(err error) { t.done(high, healthy, err, time.Since(sent), time.Since(began)) })
			t.sent(high, healthy, time.Since(sent))
		}
	}
	var wg sync.WaitGroup
	wg.Go(func() { stream(time.Millisecond, false, 5*time.Millisecond, func(i int) bool { return i%2 == 0 }) })
	wg.Go(func() {
		stream(5*time.Millisecond, true, 2*time.Millisecond, func(i int) bool { return scenario == "D" && i%10 == 0 })
	})
	wg.Wait()
	<-time.After(tooLate)
	result := t.String()
	close(release)
	go p.close()
	<-time.After(time.Second)
	return fmt.Sprintf("%s\t%d", result, runtime.NumGoroutine()-before)
}

func (t *tally) sent(high, healthy bool, took time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.submits = append(t.submits, took)
	switch {
	case !healthy:
	case high:
		t.highSent++
	default:
		t.lowSent++
	}
}

func (t *tally) done(high, healthy bool, err error, took, at time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ok := err == nil && took <= tooLate
	switch {
	case !healthy:
	case high && ok:
		t.highTimes = append(t.highTimes, took)
	case !high && ok:
		t.lowOK++
		t.lastLow = max(t.lastLow, at)
	}
}

func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	quantile := func(d []time.Duration, of int, q float64) string {
		slices.Sort(d)
		i := int(q * float64(of))
		if i >= len(d) {
			return "lost"
		}
		return fmt.Sprintf("%.2f ms", float64(d[i].Microseconds())/1000)
	}
	return fmt.Sprintf("%d of %d\t%s\t%s\t%d of %d\t%.2f s\t%s", len(t.highTimes), t.highSent,
		quantile(t.highTimes, t.highSent, .5), quantile(t.highTimes, t.highSent, .99), t.lowOK, t.lowSent, t.lastLow.Seconds(),
		quantile(t.submits, len(t.submits), .999))
}
