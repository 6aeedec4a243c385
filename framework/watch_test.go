package framework

import (
	"bytes"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
)

func TestWatchAddress(t *testing.T) {
	for arg, want := range map[string]watchAddress{
		"-seed=1": "", "-watch": anyPort, "-watch=1": anyPort, "-watch=false": "", "-watch=127.0.0.1:7357": "127.0.0.1:7357",
		"-watch=localhost:0": "localhost:0", "-watch=[::1]:0": "[::1]:0",
	} {
		c := config{}
		flags := flag.NewFlagSet("", flag.ContinueOnError)
		c.register(flags)
		if err := flags.Parse([]string{arg}); err != nil {
			t.Fatal(err)
		}
		if err := c.check(); err != nil || c.watch != want {
			t.Errorf("%s: %q, %v; want %q", arg, c.watch, err, want)
		}
	}
}

// A run serves its report from the moment that its address is said until it ends, also while there is nothing to report yet.
func TestServe(t *testing.T) {
	var out bytes.Buffer
	r := &run{id: "s-1", dir: t.TempDir(), process: 1, config: config{watch: anyPort}, out: &out, log: slog.New(slog.DiscardHandler)}
	r.progress.starts(0)
	stop, err := r.serve()
	if err != nil {
		t.Fatal(err)
	}
	_, at, _ := strings.Cut(strings.TrimSpace(out.String()), "watch the run at ")
	get := func() (string, error) {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close() //nolint:errcheck // read only
		text, err := io.ReadAll(answer.Body)
		return string(text), err
	}
	page, err := get()
	if err != nil || !strings.Contains(page, "setting up for 0 s") || !strings.Contains(page, "Run s-1") {
		t.Errorf("%s gives %.200q, %v", at, page, err)
	}
	stop()
	if _, err := get(); err == nil {
		t.Error("the page is served after the run")
	}
	r.process = 2
	out.Reset()
	if stop, err = r.serve(); err != nil || out.Len() > 0 {
		t.Errorf("another process serves the page, too: %v, %s", err, out.String())
	}
	stop()
}
