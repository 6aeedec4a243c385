// Command network connects the pods of a node with those of the other nodes: it writes the node's CNI configuration, and
// keeps a route to every other node's pods and the rule that hides pods behind their node when they leave the cluster.
// A restarted node has lost routes and rules; the DaemonSet that this runs in brings them back.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	account  = "/var/run/secrets/kubernetes.io/serviceaccount/"
	conflist = "/etc/cni/net.d/10-cutset.conflist"
	protocol = "110" // marks the routes that are ours
	interval = 5 * time.Second
	retry    = time.Second
)

type nodeList struct {
	Items []struct {
		Metadata struct{ Name string }
		Spec     struct{ PodCIDR string }
		Status   struct {
			Addresses []struct{ Type, Address string }
		}
	}
}

func main() {
	self, err := newNode()
	if err != nil {
		log.Fatal(err)
	}
	var last string
	for {
		wait := interval
		now := "connected"
		if err := self.connect(); err != nil {
			now, wait = err.Error(), retry
		}
		if now != last {
			log.Print(now)
		}
		last = now
		time.Sleep(wait)
	}
}

type node struct {
	name, podSubnet string
	endpoint        string
	client          http.Client
	applied         string // the pod CIDR that rule and CNI configuration were made for
}

// newNode reads what kind and the DaemonSet say. The endpoint is the control plane's own: the Service of the API needs
// kube-proxy, which may not run yet.
func newNode() (*node, error) {
	n := &node{
		name:      os.Getenv("NODE_NAME"),
		podSubnet: os.Getenv("POD_SUBNET"),
		endpoint:  os.Getenv("CONTROL_PLANE_ENDPOINT"),
	}
	if n.endpoint == "" {
		n.endpoint = net.JoinHostPort(os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT"))
	}
	if n.name == "" || n.podSubnet == "" {
		return nil, errors.New("NODE_NAME and POD_SUBNET must be set")
	}
	ca, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("no certificate in %sca.crt", account)
	}
	n.client = http.Client{
		// A hung API server, or one that was cut off, must not stop this for good.
		Timeout:   interval,
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}},
	}
	return n, nil
}

func (n *node) connect() error {
	nodes, err := n.nodes()
	if err != nil {
		return fmt.Errorf("asking for the nodes: %w", err)
	}
	var own string
	want := map[string]string{} // pod CIDR: the node's address
	for _, item := range nodes.Items {
		// A dual-stack cluster would have one more; this network is of IPv4 only.
		cidr, err := netip.ParsePrefix(item.Spec.PodCIDR)
		if err != nil || !cidr.Addr().Is4() {
			continue
		}
		if item.Metadata.Name == n.name {
			own = cidr.String()
			continue
		}
		for _, a := range item.Status.Addresses {
			if ip, err := netip.ParseAddr(a.Address); a.Type == "InternalIP" && err == nil && ip.Is4() {
				want[cidr.String()] = ip.String()
			}
		}
	}
	if own == "" {
		return fmt.Errorf("node %s has no pod CIDR yet", n.name)
	}
	if err := setRoutes(want); err != nil {
		return err
	}
	if n.applied == own {
		return nil
	}
	if err := n.hidePods(own); err != nil {
		return err
	}
	// The last step, as the node is Ready with it.
	if err := writeConflist(own); err != nil {
		return err
	}
	n.applied = own
	return nil
}

func (n *node) nodes() (nodeList, error) {
	var list nodeList
	token, err := os.ReadFile(account + "token") // again each time: it is rotated
	if err != nil {
		return list, err
	}
	// Version 0 is answered from the API server's cache.
	request, err := http.NewRequestWithContext(context.Background(), http.MethodGet,
		"https://"+n.endpoint+"/api/v1/nodes?resourceVersion=0", http.NoBody)
	if err != nil {
		return list, err
	}
	request.Header.Set("Authorization", "Bearer "+string(token))
	response, err := n.client.Do(request)
	if err != nil {
		return list, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return list, errors.New(response.Status)
	}
	return list, json.NewDecoder(response.Body).Decode(&list)
}

// setRoutes compares with what is there, rather than with what was set before: routes go with an interface.
func setRoutes(want map[string]string) error {
	shown, err := run("", "ip", "-4", "route", "show", "proto", protocol)
	if err != nil {
		return err
	}
	have := map[string]string{}
	for line := range strings.Lines(shown) {
		if f := strings.Fields(line); len(f) >= 3 && f[1] == "via" {
			have[f[0]] = f[2]
		}
	}
	var changes strings.Builder
	for _, cidr := range slices.Sorted(maps.Keys(want)) {
		if have[cidr] != want[cidr] {
			fmt.Fprintf(&changes, "route replace %s via %s proto %s\n", cidr, want[cidr], protocol)
		}
	}
	for _, cidr := range slices.Sorted(maps.Keys(have)) {
		if _, ok := want[cidr]; !ok {
			fmt.Fprintf(&changes, "route del %s proto %s\n", cidr, protocol)
		}
	}
	if changes.Len() == 0 {
		return nil
	}
	log.Printf("changing routes:\n%s", changes.String())
	_, err = run(changes.String(), "ip", "-batch", "-")
	return err
}

// hidePods replaces the table as a whole: there is no moment without the rule, and never two.
func (n *node) hidePods(own string) error {
	_, err := run(fmt.Sprintf(`
table ip cutset-network {}
delete table ip cutset-network
table ip cutset-network {
	chain postrouting {
		type nat hook postrouting priority srcnat
		ip saddr %s ip daddr != %s masquerade
	}
}
`, own, n.podSubnet), "nft", "-f", "-")
	return err
}

func writeConflist(own string) error {
	ptp := map[string]any{
		"type": "ptp", "ipMasq": false,
		"ipam": map[string]any{
			"type": "host-local",
			// A restart of the node ends all pods, and empties /run: addresses are given back.
			"dataDir": "/run/cni-ipam-state",
			"routes":  []any{map[string]any{"dst": "0.0.0.0/0"}},
			"ranges":  []any{[]any{map[string]any{"subnet": own}}},
		},
	}
	if eth0, err := net.InterfaceByName("eth0"); err == nil {
		ptp["mtu"] = eth0.MTU
	}
	text, err := json.MarshalIndent(map[string]any{
		"cniVersion": "0.4.0", "name": "cutset",
		"plugins": []any{ptp, map[string]any{"type": "portmap", "capabilities": map[string]any{"portMappings": true}}},
	}, "", "  ")
	if err != nil {
		return err
	}
	// No reader sees half of it.
	draft := filepath.Join(filepath.Dir(conflist), ".cutset.draft")
	if err := os.WriteFile(draft, text, 0o644); err != nil {
		return err
	}
	return os.Rename(draft, conflist)
}

func run(input, name string, args ...string) (string, error) {
	command := exec.Command(name, args...)
	command.Stdin = strings.NewReader(input)
	var problem strings.Builder
	command.Stderr = &problem
	output, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(problem.String()))
	}
	return string(output), nil
}
