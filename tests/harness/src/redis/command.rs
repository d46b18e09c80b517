//! Just enough of Redis's protocol (RESP2) to set a server up and to ask how it is.

use std::io;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::TcpStream,
};

pub(super) async fn command(port: u16, password: Option<&str>, words: &[&str]) -> Result<Vec<String>, String> {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.map_err(|error| error.to_string())?;
    let mut stream = BufReader::new(stream);
    if let Some(password) = password {
        exchange(&mut stream, &["AUTH", password]).await?;
    }
    exchange(&mut stream, words).await
}

async fn exchange(stream: &mut BufReader<TcpStream>, words: &[&str]) -> Result<Vec<String>, String> {
    let mut request = format!("*{}\r\n", words.len());
    for word in words {
        request.push_str(&format!("${}\r\n{word}\r\n", word.len()));
    }
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    answer(stream).await.map_err(|error| error.to_string())?
}

async fn answer(stream: &mut BufReader<TcpStream>) -> io::Result<Result<Vec<String>, String>> {
    let (mut values, mut missing) = (Vec::new(), 1);
    while missing > 0 {
        missing -= 1;
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((kind, rest)) = line.trim_end().split_at_checked(1) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        match (kind, rest.parse::<i64>()) {
            ("-", _) => return Ok(Err(rest.to_owned())),
            ("*", Ok(count)) => missing += count.max(0),
            ("$", Ok(size)) => values.push(bulk(stream, size).await?),
            _ => values.push(rest.to_owned()),
        }
    }
    Ok(Ok(values))
}

async fn bulk(stream: &mut BufReader<TcpStream>, size: i64) -> io::Result<String> {
    let Ok(size) = usize::try_from(size) else {
        return Ok(String::new());
    };
    let mut value = vec![0; size + 2];
    stream.read_exact(&mut value).await?;
    value.truncate(size);
    Ok(String::from_utf8_lossy(&value).into_owned())
}
