package com.example;

import static org.springframework.security.config.Customizer.withDefaults;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.core.annotation.Order;
import org.springframework.http.MediaType;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.authentication.LoginUrlAuthenticationEntryPoint;
import org.springframework.security.web.util.matcher.MediaTypeRequestMatcher;

@SpringBootApplication
public class AuthorizationServer {

    public static void main(String[] arguments) {
        SpringApplication.run(AuthorizationServer.class, arguments);
    }

    /** The provider. Its endpoint for pushed requests is off by default. */
    @Bean
    @Order(1)
    SecurityFilterChain provider(HttpSecurity http) {
        http.oauth2AuthorizationServer(server -> {
            http.securityMatcher(server.getEndpointsMatcher());
            server.oidc(withDefaults());
            server.pushedAuthorizationRequestEndpoint(withDefaults());
        });
        http.authorizeHttpRequests(all -> all.anyRequest().authenticated());
        http.oauth2ResourceServer(userinfo -> userinfo.jwt(withDefaults()).dPoP(withDefaults()));
        http.exceptionHandling(errors -> errors.defaultAuthenticationEntryPointFor(
            new LoginUrlAuthenticationEntryPoint("/login"),
            new MediaTypeRequestMatcher(MediaType.TEXT_HTML)));
        return http.build();
    }

    /** Everything else: the login page. */
    @Bean
    @Order(2)
    SecurityFilterChain loginPage(HttpSecurity http) {
        http.authorizeHttpRequests(all -> all.anyRequest().authenticated());
        http.formLogin(withDefaults());
        return http.build();
    }
}
