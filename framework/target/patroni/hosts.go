package patroni

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/cutset-dev/cutset/executor"
	"github.com/cutset-dev/cutset/framework/placement"
	"github.com/cutset-dev/cutset/framework/provider"
)

// ErrNotInstalled is wrapped by the error for a program that is missing on this host.
var ErrNotInstalled = errors.New("not installed; run hack/setup")

const (
	oldestServer = 15 // the oldest major version of PostgreSQL that is tested with
	etcdClients  = 2379
	etcdPeers    = 2380
)

// hosts runs the servers as this host's programs on machines of its own, with etcd for a DCS.
type hosts struct {
	*Target
	host     provider.Host
	bin      string // PostgreSQL's programs
	dcsHosts []string
}

// New prepares a deployment of the placement on the cluster's machines. All of its commands go through the executor,
// in the class "probe", or "collect" where they take seconds.
func New(p placement.Placement, cluster provider.Host, commands *executor.Executor) (*Target, error) {
	t := newTarget(p, cluster, commands)
	h := &hosts{Target: t, host: cluster}
	t.runs = h
	for _, name := range p.DCS.Machines {
		host, err := h.hostOf(name)
		if err != nil {
			return nil, err
		}
		h.dcsHosts = append(h.dcsHosts, host)
	}
	for _, s := range p.Shards {
		for _, c := range s.Copies() {
			host, err := h.hostOf(c.Machine)
			if err != nil {
				return nil, err
			}
			t.copies = append(t.copies, copyOf{
				Shard: s.Number, Members: len(s.Members), Instance: c.Instance, Machine: c.Machine, Host: host, Nth: c.Nth,
			})
		}
	}
	var err error
	h.bin, err = findServer()
	return t, err
}

func (h *hosts) hostOf(machine string) (string, error) {
	m, err := h.host.Machine(machine)
	if err != nil {
		return "", err
	}
	addresses, err := m.Addresses()
	if err != nil {
		return "", err
	}
	return addresses[0], nil
}

// findServer returns the directory of the newest installed PostgreSQL's programs.
func findServer() (string, error) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin")
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil { //nolint:noctx // prints and ends
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	best, newest := "", oldestServer-1
	for _, dir := range dirs {
		out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output() //nolint:noctx,gosec // prints and ends
		fields := strings.Fields(string(out))
		if err != nil || len(fields) < 3 {
			continue
		}
		major, _, _ := strings.Cut(fields[2], ".")
		if version, err := strconv.Atoi(major); err == nil && version > newest {
			best, newest = dir, version
		}
	}
	if best == "" {
		return "", fmt.Errorf("find a PostgreSQL server of version %d or newer: %w", oldestServer, ErrNotInstalled)
	}
	return best, nil
}

// prepare implements [substrate] by starting etcd.
func (h *hosts) prepare(ctx context.Context) error {
	for at, name := range h.placement.DCS.Machines {
		spec := provider.Spec{Name: etcdName(name), Machine: name, Args: h.etcdArgs(at), Env: environment()}
		if err := h.host.Place(ctx, spec); err != nil {
			return err
		}
	}
	return nil
}

// start implements [substrate].
func (h *hosts) start(ctx context.Context, c copyOf) error {
	outside, inside, err := h.host.Disk(c.Machine)
	if err != nil {
		return err
	}
	dir := filepath.Join(inside, c.Instance)
	config, err := h.configure(c, dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(outside, c.Instance), 0o700); err != nil {
		return err
	}
	const file = "patroni.yml"
	if err := os.WriteFile(filepath.Join(outside, c.Instance, file), config, 0o600); err != nil {
		return err
	}
	args, err := patroniCommand()
	if err != nil {
		return err
	}
	return h.host.Place(ctx, provider.Spec{
		Name: c.Instance, Machine: c.Machine, Args: append(args, filepath.Join(dir, file)), Env: environment(), Server: "postgres",
	})
}

// patroniCommand runs Patroni with the interpreter that the distribution packaged it for, whatever
// python3 comes first in the path.
func patroniCommand() ([]string, error) {
	program, err := exec.LookPath("patroni")
	if err != nil {
		return nil, fmt.Errorf("find Patroni: %w", ErrNotInstalled)
	}
	if program == "/usr/bin/patroni" {
		return []string{"/usr/bin/python3", program}, nil
	}
	return []string{program}, nil
}

// environment is all that an instance sees of this process's environment. The times in its log are UTC wherever that is.
func environment() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "LC_ALL=C.UTF-8", "TZ=UTC", "ETCD_UNSUPPORTED_ARCH=arm64"}
}

// configure writes Patroni's configuration for one copy. dir is the copy's directory, as it is seen
// on its machine.
func (h *hosts) configure(c copyOf, dir string) ([]byte, error) {
	dcs := make([]string, 0, len(h.dcsHosts))
	for _, host := range h.dcsHosts {
		dcs = append(dcs, fmt.Sprintf("%s:%d", host, etcdClients))
	}
	config := h.common(c.Shard, c.Members)
	config["name"], config["namespace"] = c.Instance, "/cutset/"
	config[h.placement.DCS.API] = map[string]any{"hosts": dcs}
	rest, server := section(config, "restapi"), section(config, "postgresql")
	rest["listen"], rest["connect_address"] = c.rest(), c.rest()
	server["listen"], server["connect_address"] = c.server(), c.server()
	server["data_dir"], server["pgpass"], server["bin_dir"] = path.Join(dir, "data"), path.Join(dir, "pgpass"), h.bin
	return yaml.Marshal(config)
}

// etcdArgs returns the arguments of one member of the DCS.
func (h *hosts) etcdArgs(at int) []string {
	url := func(host string, port int) string { return fmt.Sprintf("http://%s:%d", host, port) }
	host := h.dcsHosts[at]
	cluster := ""
	for i, name := range h.placement.DCS.Machines {
		cluster += fmt.Sprintf(",%s=%s", etcdName(name), url(h.dcsHosts[i], etcdPeers))
	}
	return []string{
		"etcd", "--name", etcdName(h.placement.DCS.Machines[at]), "--data-dir", "data", "--enable-v2=true",
		"--listen-client-urls", url(host, etcdClients), "--advertise-client-urls", url(host, etcdClients),
		"--listen-peer-urls", url(host, etcdPeers), "--initial-advertise-peer-urls", url(host, etcdPeers),
		"--initial-cluster", cluster[1:], "--log-level", "warn",
	}
}

func etcdName(machine string) string { return "etcd-" + machine }
