//! A sign-in provider of ours: OpenID Connect as far as a code flow goes, over real sockets, with ES256 keys. It lies on demand.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

pub const CLIENT: &str = "plimsoll-at-home";
pub const SECRET: &str = "canary-provider-secret-31415";
/// What opens the rest that is known of who came.
pub const ACCESS: &str = "canary-provider-access-27182";

/// Runs until it is dropped.
pub struct Provider {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

struct State {
    key: KeyPair,
    /// Whoever comes next.
    subject: Value,
    /// Of whom its tokens say no more than the subject.
    terse: bool,
    lie: Lie,
    /// By code: challenge of PKCE, nonce, the address to go back to.
    codes: HashMap<String, Asked>,
}

struct Asked {
    challenge: String,
    nonce: String,
    redirect: String,
}

/// What is wrong with the next token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    None,
    Nonce,
    Issuer,
    Audience,
    /// A second one beside ours.
    Audiences,
    Expired,
    /// Made an hour ago, good for another one.
    Old,
    /// `alg: none`, without a signature.
    Unsigned,
    /// HS256, with the public key as the secret.
    PublicKeyAsSecret,
    /// HS256, with the client's secret.
    ClientSecret,
    /// By a key that nobody has published.
    OtherKey,
    /// No ID token at all.
    Nothing,
    /// A token of one, and the address of another.
    Userinfo,
}

impl Lie {
    pub const ALL: [Lie; 12] = [
        Lie::Nonce,
        Lie::Issuer,
        Lie::Audience,
        Lie::Audiences,
        Lie::Expired,
        Lie::Old,
        Lie::Unsigned,
        Lie::PublicKeyAsSecret,
        Lie::ClientSecret,
        Lie::OtherKey,
        Lie::Nothing,
        Lie::Userinfo,
    ];
}

impl Provider {
    /// # Panics
    /// When this machine has no port for it.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            key: KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(),
            subject: json!({ "sub": "248289761001" }),
            terse: false,
            lie: Lie::None,
            codes: HashMap::new(),
        }));
        let task = tokio::spawn({
            let state = state.clone();
            async move {
                loop {
                    let Ok((stream, _)) = listener.accept().await else { continue };
                    tokio::spawn(answer(stream, address, state.clone()));
                }
            }
        });
        Self { address, state, task }
    }

    pub fn issuer(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Who comes next, by claims: `sub`, `email`, `email_verified`, `name`.
    pub fn next_is(&self, subject: Value) {
        self.state.lock().unwrap().subject = subject;
    }

    /// From now on it tells addresses and names only to who asks for them with an access token.
    pub fn be_terse(&self) {
        self.state.lock().unwrap().terse = true;
    }

    pub fn lie(&self, lie: Lie) {
        self.state.lock().unwrap().lie = lie;
    }

    /// Other keys from now on, as providers have them now and then.
    ///
    /// # Panics
    /// When there is none to be made.
    pub fn rotate(&self) {
        self.state.lock().unwrap().key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, address: SocketAddr, state: Arc<Mutex<State>>) {
    let mut bytes = Vec::new();
    let (head, body) = loop {
        let mut piece = [0; 4096];
        let Ok(n @ 1..) = stream.read(&mut piece).await else { return };
        bytes.extend_from_slice(&piece[..n]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = header(head, "content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        if body.len() >= length {
            break (head.to_owned(), body.to_owned());
        }
    };
    let target = head.split(' ').nth(1).unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let issuer = format!("http://{address}");
    let (status, location, said) = match path {
        "/.well-known/openid-configuration" => ("200 OK", None, description(&issuer)),
        "/keys" => ("200 OK", None, json!({ "keys": [state.lock().unwrap().public()] })),
        "/authorize" => match state.lock().unwrap().authorize(&pairs(query)) {
            Ok(back) => ("302 Found", Some(back), Value::Null),
            Err(why) => ("400 Bad Request", None, json!({ "error": why })),
        },
        "/token" => match state.lock().unwrap().token(&issuer, &head, &pairs(&body)) {
            Ok(tokens) => ("200 OK", None, tokens),
            Err(why) => ("400 Bad Request", None, json!({ "error": why })),
        },
        "/userinfo" => match state.lock().unwrap().userinfo(&head) {
            Ok(claims) => ("200 OK", None, claims),
            Err(why) => ("401 Unauthorized", None, json!({ "error": why })),
        },
        _ => ("404 Not Found", None, Value::Null),
    };
    let location = location.map(|to| format!("location: {to}\r\n")).unwrap_or_default();
    let said = said.to_string();
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n{location}content-length: {}\r\nconnection: close\r\n\r\n{said}",
        said.len()
    );
    let _ = stream.write_all(text.as_bytes()).await;
}

fn header(head: &str, name: &str) -> Option<String> {
    let mut lines = head.lines().filter_map(|line| line.split_once(':'));
    lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
}

fn pairs(text: &str) -> HashMap<String, String> {
    reqwest::Url::parse(&format!("http://x/?{text}")).unwrap().query_pairs().into_owned().collect()
}

fn description(issuer: &str) -> Value {
    json!({
        "issuer": issuer,
        "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
        "userinfo_endpoint": format!("{issuer}/userinfo"),
        "jwks_uri": format!("{issuer}/keys"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
    })
}

impl State {
    /// Whoever comes is let in at once.
    fn authorize(&mut self, asked: &HashMap<String, String>) -> Result<String, &'static str> {
        let field = |name: &str| asked.get(name).cloned().unwrap_or_default();
        let scopes = field("scope");
        if field("client_id") != CLIENT || field("response_type") != "code" || !scopes.split(' ').any(|s| s == "openid")
        {
            return Err("unauthorized_client");
        }
        if field("code_challenge_method") != "S256" || field("nonce").is_empty() || field("state").is_empty() {
            return Err("invalid_request");
        }
        let code = base64(&rand_bytes());
        let redirect = field("redirect_uri");
        let back = format!("{redirect}?code={code}&state={}", field("state"));
        let kept = Asked { challenge: field("code_challenge"), nonce: field("nonce"), redirect };
        self.codes.insert(code, kept);
        Ok(back)
    }

    /// A code is good once, for who has the client's secret, the verifier and the same address to go back to.
    fn token(&mut self, issuer: &str, head: &str, sent: &HashMap<String, String>) -> Result<Value, &'static str> {
        let field = |name: &str| sent.get(name).map(String::as_str).unwrap_or_default();
        let expected = format!("Basic {}", base64_padded(format!("{CLIENT}:{SECRET}").as_bytes()));
        if header(head, "authorization").as_deref() != Some(expected.as_str()) {
            return Err("invalid_client");
        }
        let asked = self.codes.remove(field("code")).ok_or("invalid_grant")?;
        let challenge = base64(&sha256(field("code_verifier").as_bytes()));
        if challenge != asked.challenge || field("redirect_uri") != asked.redirect {
            return Err("invalid_grant");
        }
        let mut tokens = json!({ "access_token": ACCESS, "token_type": "Bearer" });
        if self.lie != Lie::Nothing {
            tokens["id_token"] = Value::String(self.id_token(issuer, &asked.nonce));
        }
        Ok(tokens)
    }

    fn userinfo(&self, head: &str) -> Result<Value, &'static str> {
        if header(head, "authorization").as_deref() != Some(format!("Bearer {ACCESS}").as_str()) {
            return Err("invalid_token");
        }
        let mut claims = self.subject.clone();
        if self.lie == Lie::Userinfo {
            claims["sub"] = json!("another");
        }
        Ok(claims)
    }

    fn id_token(&self, issuer: &str, nonce: &str) -> String {
        let now = chrono::Utc::now().timestamp();
        let mut claims = self.subject.clone();
        if self.terse || self.lie == Lie::Userinfo {
            claims = json!({ "sub": claims["sub"] });
        }
        claims["iss"] = json!(issuer);
        claims["aud"] = json!(CLIENT);
        claims["nonce"] = json!(nonce);
        (claims["iat"], claims["exp"]) = (json!(now), json!(now + 300));
        let mut head = json!({ "alg": "ES256", "typ": "JWT", "kid": self.kid() });
        match self.lie {
            Lie::Nonce => claims["nonce"] = json!("another"),
            Lie::Issuer => claims["iss"] = json!("https://id.example.org"),
            Lie::Audience => claims["aud"] = json!("somebody-else"),
            Lie::Audiences => claims["aud"] = json!([CLIENT, "somebody-else"]),
            // Clocks may go a minute apart.
            Lie::Expired => (claims["iat"], claims["exp"]) = (json!(now - 300), json!(now - 90)),
            Lie::Old => (claims["iat"], claims["exp"]) = (json!(now - 3600), json!(now + 3600)),
            Lie::Unsigned => head = json!({ "alg": "none" }),
            Lie::PublicKeyAsSecret | Lie::ClientSecret => head = json!({ "alg": "HS256", "typ": "JWT" }),
            Lie::None | Lie::OtherKey | Lie::Nothing | Lie::Userinfo => {}
        }
        let message = format!("{}.{}", base64(head.to_string().as_bytes()), base64(claims.to_string().as_bytes()));
        let signature = match self.lie {
            Lie::Unsigned => Vec::new(),
            Lie::PublicKeyAsSecret => hmac(self.key.der_bytes(), message.as_bytes()),
            Lie::ClientSecret => hmac(SECRET.as_bytes(), message.as_bytes()),
            Lie::OtherKey => sign(&KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap(), &message),
            _ => sign(&self.key, &message),
        };
        format!("{message}.{}", base64(&signature))
    }

    fn public(&self) -> Value {
        // An uncompressed point: 4, x, y.
        let point = self.key.der_bytes();
        json!({
            "kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.kid(),
            "x": base64(&point[1..33]), "y": base64(&point[33..65]),
        })
    }

    fn kid(&self) -> String {
        base64(&sha256(self.key.der_bytes())[..8])
    }
}

/// Two numbers of 32 bytes each, out of the DER that the library makes of them.
fn sign(key: &KeyPair, message: &str) -> Vec<u8> {
    let der = key.sign(message.as_bytes()).unwrap();
    // SEQUENCE, length; INTEGER, length, number; INTEGER, length, number. All are short.
    let first = usize::from(der[3]);
    let (r, rest) = (&der[4..4 + first], &der[4 + first..]);
    let s = &rest[2..2 + usize::from(rest[1])];
    let number = |bytes: &[u8]| {
        let bytes: Vec<u8> = bytes.iter().copied().skip_while(|byte| *byte == 0).collect();
        [vec![0; 32 - bytes.len()], bytes].concat()
    };
    [number(r), number(s)].concat()
}

fn base64(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn base64_padded(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

fn hmac(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

fn rand_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    std::io::Read::read_exact(&mut std::fs::File::open("/dev/urandom").unwrap(), &mut bytes).unwrap();
    bytes
}
