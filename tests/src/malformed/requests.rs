//! What is no HTTP, or no request that there is an answer to but a refusal.

/// How a request is refused, and so where it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// It never becomes a request.
    Unreadable,
    /// It is one, and is answered with an error.
    Answered,
}

/// Bytes to be written on a connection of their own. `path` is one of the API's that wants a token.
pub fn all(path: &str) -> Vec<(Refused, Vec<u8>)> {
    use Refused::{Answered, Unreadable};
    let request = |head: String| format!("{head}\r\nHost: signal\r\nConnection: close\r\n\r\n").into_bytes();
    vec![
        (Unreadable, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".to_vec()),
        (Unreadable, b"hello\r\n\r\n".to_vec()),
        (Unreadable, b"GET\r\n\r\n".to_vec()),
        (Unreadable, format!("GET {path} HTTP/9.9\r\nHost: signal\r\n\r\n").into_bytes()),
        (Unreadable, format!("GET {path} HTTP/1.1\r\nno colon\r\n\r\n").into_bytes()),
        (Unreadable, format!("GET {path} HTTP/1.1\r\nHost: signal\r\nX: a\0b\r\n\r\n").into_bytes()),
        (Unreadable, format!("POST {path} HTTP/1.1\r\nHost: signal\r\nContent-Length: many\r\n\r\n").into_bytes()),
        (Unreadable, format!("GET {path} HTTP/1.1\r\nHost: signal\r\nX: {}\r\n\r\n", "x".repeat(40_000)).into_bytes()),
        (Answered, request(format!("GET {path} HTTP/1.1"))),
        (Answered, request(format!("GET {path} HTTP/1.1\r\nAuthorization: Bearer"))),
        (Answered, request(format!("GET {path} HTTP/1.1\r\nAuthorization: Basic YTpi"))),
        (Answered, request(format!("GET {path} HTTP/1.1\r\nAuthorization: Bearer not.a.token"))),
        (Answered, request(format!("GET {path}?limit=many HTTP/1.1"))),
        (Answered, request(format!("BREW {path} HTTP/1.1"))),
        (Answered, request("GET /nowhere HTTP/1.1".to_owned())),
    ]
}
