package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"

	"sluice/proto/gen/broker"
	"sluice/proto/gen/control"
	"sluice/proto/gen/inference"
	"sluice/test/freeport"
)

// shared is a daemon that two tenants share, acme and other, who reach it over TLS.
type shared struct {
	system
	control string      // address of the control API
	roots   *tls.Config // trusts the daemon's certificate
	ca      string      // file
	keys    map[string]string
}

// startShared starts the daemon beside the one that runs, with a containerd namespace of its own, and makes the tenants.
func startShared(t *testing.T) *shared {
	t.Helper()
	folder, err := os.MkdirTemp("/tmp", "sluice-e2e-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(folder) })
	s := &shared{keys: make(map[string]string), ca: filepath.Join(folder, "cert.pem")}
	s.system = system{root: running.root, folder: folder, sandbox: "containerd", containerd: running.containerd}
	if err := s.choosePorts(); err != nil {
		t.Fatal(err)
	}
	if s.control, err = freeport.Address(); err != nil {
		t.Fatal(err)
	}
	s.roots = selfSigned(t, s.ca, filepath.Join(folder, "key.pem"))
	s.secured = credentials.NewTLS(s.roots)
	s.flags = []string{
		"--containerd-namespace", "sluice-e2e-shared", "--anonymous-tenant", "", "--control-listen", s.control,
		"--tls-certificate", s.ca, "--tls-key", filepath.Join(folder, "key.pem"),
	}
	if err := s.startDaemon(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.stopDaemon(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			s.printLog()
		}
	})
	output(t, s.command(t, "image", "build", filepath.Join(running.folder, "simple"), "-t", "simple:latest"))
	for _, name := range []string{"acme", "other"} {
		s.keys[name] = strings.TrimSpace(output(t, s.command(t, "tenants", "create", name)))
	}
	return s
}

// selfSigned writes a certificate for 127.0.0.1 and its key, and gives a client's configuration that trusts it.
func selfSigned(t *testing.T, certificateFile, keyFile string) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "sluice"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{
		certificateFile: {Type: "CERTIFICATE", Bytes: certificate}, keyFile: {Type: "EC PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parsed, err := x509.ParseCertificate(certificate)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return &tls.Config{RootCAs: roots}
}

// tenant is what one tenant can reach.
type tenant struct {
	control.ControlClient
	broker  broker.BrokerClient
	gateway inference.GRPCInferenceServiceClient
	key     string
}

func (s *shared) tenant(t *testing.T, key string) tenant {
	t.Helper()
	dial := func(address string) *grpc.ClientConn {
		conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(s.secured))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	door := dial(s.control)
	return tenant{
		ControlClient: control.NewControlClient(door), broker: broker.NewBrokerClient(door),
		gateway: inference.NewGRPCInferenceServiceClient(dial(s.address)), key: key,
	}
}

func (c tenant) ctx(t *testing.T) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+c.key)
}

// deploy deploys simple under a name.
func (c tenant) deploy(t *testing.T, name string) {
	t.Helper()
	yaml := fmt.Sprintf("apiVersion: sluice/v1\nkind: Function\nname: %s\nimage: simple:latest\n"+
		"resources: {cpu: 100m, memory: 128Mi}\ndevice: {api: opencl, memory: 64Mi}\n", name)
	if _, err := c.Deploy(c.ctx(t), &control.DeployRequest{FunctionYaml: []byte(yaml)}); err != nil {
		t.Fatal(err)
	}
}

func (c tenant) infer(t *testing.T, function string) error {
	request := &inference.ModelInferRequest{ModelName: function}
	for _, name := range []string{"INPUT0", "INPUT1"} {
		request.Inputs = append(request.Inputs, &inference.ModelInferRequest_InferInputTensor{Name: name, Datatype: "INT32", Shape: []int64{1, 16}})
		request.RawInputContents = append(request.RawInputContents, make([]byte, 64))
	}
	_, err := c.gateway.ModelInfer(c.ctx(t), request)
	return err
}
