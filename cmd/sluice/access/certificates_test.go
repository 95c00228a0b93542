package access

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority signs certificates.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	file        string
}

func newAuthority(t *testing.T) *authority {
	a := &authority{file: filepath.Join(t.TempDir(), "ca.pem")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	a.certificate, a.key = sign(t, template, nil)
	write(t, a.file, "CERTIFICATE", a.certificate.Raw)
	return a
}

// sign makes a certificate and its key; without an authority it signs itself.
func sign(t *testing.T, template *x509.Certificate, by *authority) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return certificate, key
}

// issue writes a certificate for 127.0.0.1 and its key.
func (a *authority) issue(t *testing.T, serial int64, certificateFile, keyFile string) {
	t.Helper()
	certificate, key := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "sluice"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a)
	raw, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, certificateFile, "CERTIFICATE", certificate.Raw)
	write(t, keyFile, "EC PRIVATE KEY", raw)
}

func write(t *testing.T, file, kind string, raw []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: raw}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// shake makes a handshake over a pipe and returns the certificate that the client saw.
func shake(t *testing.T, files *certificates, client *tls.Config) (*x509.Certificate, error) {
	t.Helper()
	ours, theirs := net.Pipe()
	defer ours.Close()
	defer theirs.Close()
	served := make(chan error, 1)
	go func() { served <- tls.Server(ours, files.current()).HandshakeContext(t.Context()) }()
	conn := tls.Client(theirs, client)
	if err := conn.HandshakeContext(t.Context()); err != nil {
		ours.Close()
		<-served
		return nil, err
	}
	go func() { _, _ = conn.Read(make([]byte, 1)) }() // takes what the server says after the handshake
	if err := <-served; err != nil {
		return nil, err
	}
	return conn.ConnectionState().PeerCertificates[0], nil
}

func TestCertificatesAreReadAgain(t *testing.T) {
	ca, folder := newAuthority(t), t.TempDir()
	files := CertificateFiles{Certificate: filepath.Join(folder, "c"), Key: filepath.Join(folder, "k")}
	ca.issue(t, 10, files.Certificate, files.Key)
	c := &certificates{files: files, log: quiet}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)
	client := &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
	expect := func(serial int64) {
		t.Helper()
		c.looked = time.Time{}
		seen, err := shake(t, c, client)
		if err != nil || seen.SerialNumber.Int64() != serial {
			t.Errorf("the client saw %v, %v, want %d", seen, err, serial)
		}
	}
	expect(10)
	ca.issue(t, 20, files.Certificate, files.Key)
	later := time.Now().Add(time.Minute) // also on a file system with coarse times
	if err := os.Chtimes(files.Certificate, later, later); err != nil {
		t.Fatal(err)
	}
	expect(20)
	if err := os.WriteFile(files.Key, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	expect(20)
}

func TestClientsNeedACertificate(t *testing.T) {
	ca, stranger, folder := newAuthority(t), newAuthority(t), t.TempDir()
	files := CertificateFiles{Certificate: filepath.Join(folder, "c"), Key: filepath.Join(folder, "k"), ClientCA: ca.file}
	ca.issue(t, 10, files.Certificate, files.Key)
	c := &certificates{files: files, log: quiet}
	if err := c.load(); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(ca.certificate)
	for _, test := range []struct {
		name string
		by   *authority
		ok   bool
	}{{"none", nil, false}, {"a stranger's", stranger, false}, {"the CA's", ca, true}} {
		client := &tls.Config{RootCAs: roots, ServerName: "127.0.0.1"}
		if test.by != nil {
			certificate, key := filepath.Join(folder, "client"), filepath.Join(folder, "client-key")
			test.by.issue(t, 30, certificate, key)
			own, err := tls.LoadX509KeyPair(certificate, key)
			if err != nil {
				t.Fatal(err)
			}
			client.Certificates = []tls.Certificate{own}
		}
		if _, err := shake(t, c, client); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestCredentialsRefuseBadFiles(t *testing.T) {
	ca, folder := newAuthority(t), t.TempDir()
	certificate, key := filepath.Join(folder, "c"), filepath.Join(folder, "k")
	ca.issue(t, 10, certificate, key)
	for _, files := range []CertificateFiles{
		{}, {Certificate: certificate}, {Certificate: key, Key: certificate}, {Certificate: certificate, Key: key, ClientCA: key},
	} {
		if _, err := files.Credentials(quiet); err == nil {
			t.Errorf("%+v are accepted", files)
		}
	}
	if _, err := (CertificateFiles{Certificate: certificate, Key: key, ClientCA: ca.file}).Credentials(quiet); err != nil {
		t.Error(err)
	}
}
