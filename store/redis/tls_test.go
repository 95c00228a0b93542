package redis_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sluice/store"
	"sluice/store/redis"
	"sluice/store/storetest"
)

// authority signs the certificates of one test. It writes <name>.crt and <name>.key into folder.
type authority struct {
	folder      string
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{folder: t.TempDir()}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	a.certificate, a.key = a.sign(t, "ca", template)
	return a
}

func (a *authority) sign(t *testing.T, name string, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.Subject = pkix.Name{CommonName: name}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if a.certificate != nil {
		parent, signer = a.certificate, a.key
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{
		a.path(name + ".crt"): {Type: "CERTIFICATE", Bytes: signed},
		a.path(name + ".key"): {Type: "PRIVATE KEY", Bytes: encoded},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	certificate, err := x509.ParseCertificate(signed)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

func (a *authority) path(name string) string { return filepath.Join(a.folder, name) }

// A server that wants TLS, a certificate of its clients, and a user's password.
func TestTLSAndPassword(t *testing.T) {
	a := newAuthority(t)
	a.sign(t, "server", &x509.Certificate{
		SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	a.sign(t, "client", &x509.Certificate{SerialNumber: big.NewInt(3), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}})
	port := freePort(t)
	newServer(t, "--tls-port", port, "--tls-cert-file", a.path("server.crt"), "--tls-key-file", a.path("server.key"),
		"--tls-ca-cert-file", a.path("ca.crt"), "--tls-auth-clients", "yes",
		"--user", "default", "off", "--user", "node", "on", ">s3cret/word", "~*", "&*", "+@all")
	for name, password := range map[string]string{"right": "s3cret/word\n", "wrong": "wr0ng"} {
		if err := os.WriteFile(a.path(name), []byte(password), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	authorityFile, certificate := "&ca_file="+a.path("ca.crt"), "&cert_file="+a.path("client.crt")+"&key_file="+a.path("client.key")
	host := "127.0.0.1:" + port + "?retry_for=3s" // a first attempt on a busy machine takes over a second

	t.Run("Counters", func(t *testing.T) {
		storetest.RunCounters(t, func(t *testing.T, folder string) storetest.Engine {
			return open(t, "rediss://node@127.0.0.1:"+port+"?namespace="+namespaceOf(folder)+authorityFile+certificate+"&password_file="+a.path("right"))
		})
	})
	open(t, "rediss://node:s3cret%2Fword@"+host+authorityFile+certificate)
	for name, c := range map[string]struct {
		url, says string
		passing   bool
	}{
		"wrong password":         {"rediss://node:wr0ng@" + host + authorityFile + certificate, "WRONGPASS", false},
		"wrong password in file": {"rediss://node@" + host + authorityFile + certificate + "&password_file=" + a.path("wrong"), "WRONGPASS", false},
		"no password":            {"rediss://" + host + authorityFile + certificate, "NOAUTH", false},
		"unknown authority":      {"rediss://node:s3cret%2Fword@" + host + certificate, "unknown authority", true},
		"no certificate":         {"rediss://node:s3cret%2Fword@" + host + authorityFile, "", true},
		"no TLS":                 {"redis://node:s3cret%2Fword@" + host, "", true},
	} {
		_, err := redis.Open(t.Context(), c.url, discard)
		if err == nil || errors.Is(err, store.ErrUnavailable) != c.passing || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: error is %v", name, err)
		}
		for _, secret := range []string{"s3cret", "wr0ng"} {
			if strings.Contains(fmt.Sprint(err), secret) {
				t.Errorf("%s: the error tells the password: %v", name, err)
			}
		}
	}
}
