package framework

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"testing"

	"github.com/cutset-dev/cutset/framework/provider/embedded"
)

// entered guards against a suite that forgot its TestMain.
var entered bool

// Main is a suite's TestMain. It reads the configuration and, for the embedded provider, goes on in a
// world of its own; it ends the process with the tests' exit code.
func Main(m *testing.M) {
	settings.register(flag.CommandLine)
	err := fromEnvironment(flag.CommandLine)
	if err == nil {
		flag.Parse()
		settings.given(flag.CommandLine)
		err = settings.check()
	}
	if err == nil {
		err = settings.enter()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "cutset:", err)
		os.Exit(2)
	}
	entered = true
	os.Exit(m.Run())
}

// enter goes on in a world of the run's own where its machines are made of this host.
func (c config) enter() error {
	if c.provider != "embedded" {
		return nil
	}
	return embedded.Enter(embedded.Mode(c.world))
}

// check finds what no run could be made of.
func (c config) check() error {
	if _, ok := backends[c.provider]; !ok {
		return fmt.Errorf("provider %q: write %s", c.provider, providers())
	}
	switch embedded.Mode(c.world) {
	case embedded.Auto, embedded.Namespaces, embedded.Loopback:
	default:
		return fmt.Errorf("world %q: write auto, namespaces or loopback", c.world)
	}
	if _, ok := defects[c.seedDefect]; c.seedDefect != "" && !ok {
		return fmt.Errorf("-seed-defect=%s: there is no such defect; write %s", c.seedDefect, defectNames())
	}
	if err := errors.Join(checkProgress(c.progress), c.watch.check()); err != nil {
		return err
	}
	if at, of := c.part(); c.shard != "" && (at < 1 || of < at || c.shard != fmt.Sprintf("%d/%d", at, of)) {
		return fmt.Errorf("-shard=%s: write i/n, with i from 1 to n, as 1/3", c.shard)
	}
	if !(c.slowdown > 0) { // nor NaN
		return fmt.Errorf("-budget-slowdown=%g: write a factor above 0, as 5", c.slowdown)
	}
	if len(c.quantiles) > 0 && c.repeat < 2 {
		return errors.New("-budget-quantiles is about the repeats of a case; give -repeat as well, as -repeat=10")
	}
	for _, d := range []struct {
		flag  string
		value int64
	}{
		{"budget-cases", int64(c.budgetCases)},
		{"max-size", int64(c.maxSize)},
		{"repeat", int64(c.repeat)},
		{"budget-shrink", int64(c.budgetShrink)},
		{"budget-time", int64(c.budgetTime)},
		{"hold", int64(c.hold)},
		{"budget-outage", int64(c.outage)},
		{"budget-redundancy", int64(c.redundancy)},
	} {
		if d.value < 0 {
			return fmt.Errorf("-%s is negative; write a number from 0 up", d.flag)
		}
	}
	return nil
}
