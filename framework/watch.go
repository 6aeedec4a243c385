package framework

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/cutset-dev/cutset/framework/report"
)

// anyPort is where -watch without an address serves.
const anyPort = "127.0.0.1:0"

// watchAddress is the value of -watch: where to serve, "" for not at all.
type watchAddress string

// String implements [flag.Value].
func (a *watchAddress) String() string { return string(*a) }

// IsBoolFlag lets -watch stand alone.
func (a *watchAddress) IsBoolFlag() bool { return true }

// Set implements [flag.Value]. Alone, the flag package has it say true.
func (a *watchAddress) Set(value string) error {
	*a = watchAddress(value)
	if on, err := strconv.ParseBool(value); err == nil {
		*a = ""
		if on {
			*a = anyPort
		}
	}
	return nil
}

// check refuses addresses that others than this host reach: what a run finds out is not for everybody.
func (a *watchAddress) check() error {
	if *a == "" {
		return nil
	}
	host, _, err := net.SplitHostPort(string(*a))
	if err != nil {
		return fmt.Errorf("-watch=%s: %w; write 127.0.0.1:PORT", *a, err)
	}
	if !report.Loopback(host) {
		return fmt.Errorf("-watch=%s: only this host may look, so the address has to be a loopback one: write 127.0.0.1:PORT, [::1]:PORT or localhost:PORT", *a)
	}
	return nil
}

// serve has browsers on this host look at the run while it goes on, if -watch asks for that.
func (r *run) serve() (stop func(), err error) {
	if r.config.watch == "" || r.process > 1 {
		return func() {}, nil
	}
	var config net.ListenConfig
	listener, err := config.Listen(context.Background(), "tcp", string(r.config.watch))
	if err != nil {
		return nil, fmt.Errorf("serve the report while the run goes on: %w; -watch without an address takes a free port", err)
	}
	live := report.NewLive(r.dir, r.progress.now, r.resultsSoFar)
	server := &http.Server{Handler: live, ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	r.say("watch the run at http://%s/", listener.Addr())
	return func() {
		live.End("The run has ended; its report is " + r.file("report.html"))
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if err := server.Shutdown(ctx); err != nil {
			_ = server.Close() // somebody did not want to hear of the end
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			r.log.Warn("serve the report", "error", err)
		}
	}, nil
}
