//go:build unix

package kafkabroker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// certificates are PEM files: an authority and what it signed.
type certificates struct {
	ca                string
	server            string // key and certificate in one, as Kafka's PEM key store wants it
	client, clientKey string
}

func makeCertificates(dir string) (certificates, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return certificates{}, err
	}
	c := certificates{
		ca: filepath.Join(dir, "ca.pem"), server: filepath.Join(dir, "server.pem"),
		client: filepath.Join(dir, "client.pem"), clientKey: filepath.Join(dir, "client.key"),
	}
	ca := template("authority", 1)
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	caKey, caDER, _, err := issue(ca, nil, nil)
	if err != nil {
		return c, err
	}
	server := template("server", 2)
	server.IPAddresses, server.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1)}, []string{"localhost"}
	_, serverDER, serverKey, err := issue(server, ca, caKey)
	if err != nil {
		return c, err
	}
	_, clientDER, clientKey, err := issue(template("client", 3), ca, caKey)
	if err != nil {
		return c, err
	}
	const certificate, key = "CERTIFICATE", "PRIVATE KEY"
	encode := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	return c, errors.Join(
		os.WriteFile(c.ca, encode(certificate, caDER), 0o600),
		os.WriteFile(c.server, append(encode(key, serverKey), encode(certificate, serverDER)...), 0o600),
		os.WriteFile(c.client, encode(certificate, clientDER), 0o600),
		os.WriteFile(c.clientKey, encode(key, clientKey), 0o600),
	)
}

func template(name string, serial int64) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

// issue makes a key and a certificate for it, by itself when there is no parent.
func issue(cert, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (key *ecdsa.PrivateKey, der, keyDER []byte, err error) {
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, nil, err
	}
	if parent == nil {
		parent, parentKey = cert, key
	}
	if der, err = x509.CreateCertificate(rand.Reader, cert, parent, &key.PublicKey, parentKey); err != nil {
		return nil, nil, nil, err
	}
	keyDER, err = x509.MarshalPKCS8PrivateKey(key)
	return key, der, keyDER, err
}
